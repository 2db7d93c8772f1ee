"""What the adapter itself says: about Discord, never about anybody's account."""

from __future__ import annotations

SOMEBODY_ELSES = "These buttons belong to somebody else's conversation. Start your own with /support."
NO_BRAND = "This bot does not answer for anybody here yet. Whoever runs it has to name a brand for this server."
WHICH_BRAND = "Which company is your message about?"
WHICH_BRAND_AGAIN = "I answer for several companies. Please use the command again and choose one of them under “brand”."
CHOOSE = "Choose one"
PASSED_ON = "Your message is with our team. The answer comes to your direct messages."
IN_PRIVATE = "I have answered you in a direct message, where only you can read it."
DIRECT_CLOSED = (
    "I would rather answer you in private, but you do not take direct messages from this server. "
    "Use /support here: its answers are for your eyes only."
)
UNLINKED = "Done. I no longer know you as a customer here. Whatever you write next starts a new conversation."
NOT_LINKED = "You are not linked to any account here."
PRESS_AGAIN = "I was away for a moment. If you pressed a button meanwhile, please press it again."
FORM_OVER = "This form belongs to a question that is no longer open. Just write what you need."
OUT_OF_ORDER = "Something went wrong on our side. Please try that again in a moment."
FILES_TOO_MANY = "At most {most} files go with one message. Please send the others with the next."
FILES_NOT_SENT = "Discord did not take {names}, so it could not be sent here."
FILE_GONE = "The file {name} could not be fetched from Discord. Please send it again."

A_DAY = "A day, such as 9 March or last Tuesday"

OPEN_FORM = {
    "code": "Enter the code",
    "email": "Enter your e-mail",
    "text": "Write an answer",
    "details": "Fill in the form",
}

COMMANDS = {
    "support": ("Ask us anything. On a server, only you see the answer.", "What is it about?"),
    "cancel": ("Cancel a number, a plan or your account.", "Which one? A number or a plan, if you have several."),
    "refund": ("Get money back that you should not have paid.", "What happened? An invoice number helps."),
    "ticket": ("Report a problem, or ask about a ticket.", "A ticket number such as TCK-000123, or the problem."),
    "human": ("Talk to a person.", "What should our team know?"),
    "unlink": ("Have me forget which account is yours.", ""),
}
"""Of each command: what it does, and what may be written with it."""

SAYS = {
    "support": ("Hello", "{words}"),
    "cancel": ("I want to cancel my subscription", "I want to cancel {words}"),
    "refund": ("I want my money back", "I want my money back: {words}"),
    "ticket": ("I want to report a problem", "I want to report a problem: {words}"),
    "human": ("I want to talk to a person", "I want to talk to a person: {words}"),
}
"""What a customer says by using a command, without words of their own and with."""
