"""Mail that comes in: a webhook for mail services, and a pipe for mail servers."""
