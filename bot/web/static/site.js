// The help center pages: "/" to search, buttons that open the chat, and the demo's sign-in menu.
"use strict";

/** Calls the widget, now or as soon as its script has loaded. */
const chat = (...call) => (window.SupportBot ??= []).push(call);

chat("on", "ready", () => {
  for (const button of document.querySelectorAll("[data-open-chat]")) button.hidden = false;
});
for (const button of document.querySelectorAll("[data-open-chat]")) {
  button.addEventListener("click", () => chat("show"));
}

document.addEventListener("keydown", (event) => {
  const field = document.querySelector("[data-search]");
  const typing = event.composedPath()[0].closest?.("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || typing || !field) return;
  event.preventDefault();
  field.focus();
  field.select();
});

function signIn(menu) {
  const brand = menu.dataset.signin;
  const key = `supportbot-demo:${brand}`;
  const label = menu.querySelector("[data-signin-label]");
  const status = menu.querySelector("[data-signin-status]");
  const out = menu.querySelector("[data-signout]");
  const choices = [...menu.querySelectorAll("[data-email]")];

  const current = () => choices.find((choice) => choice.dataset.email === sessionStorage.getItem(key));

  /** What the widget calls whenever it needs a fresh proof of who is signed in, as a host site's server would give. */
  const identityOf = (email) => async () => {
    const response = await fetch("/demo/identity", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ brand, email }),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.detail);
    return answer.identity;
  };

  function show() {
    const customer = current();
    label.textContent = customer ? customer.dataset.name : "Sign in as";
    menu.classList.toggle("is-signed-in", Boolean(customer));
    out.hidden = !customer;
    for (const choice of choices) {
      if (choice === customer) choice.setAttribute("aria-current", "true");
      else choice.removeAttribute("aria-current");
    }
  }

  function close() {
    const inside = menu.contains(document.activeElement);
    menu.open = false;
    if (inside) menu.querySelector("summary").focus();
  }

  for (const choice of choices) {
    choice.addEventListener("click", () => {
      const { email, name } = choice.dataset;
      sessionStorage.setItem(key, email);
      show();
      close();
      status.textContent = `Signed in as ${name}.`;
      chat("setIdentity", identityOf(email));
      chat("show");
    });
  }
  out.addEventListener("click", () => {
    sessionStorage.removeItem(key);
    show();
    close();
    status.textContent = "Signed out.";
    chat("setIdentity", null);
  });
  menu.addEventListener("keydown", (event) => event.key === "Escape" && close());
  document.addEventListener("click", (event) => {
    if (menu.open && !menu.contains(event.target)) menu.open = false;
  });

  menu.hidden = false;
  show();
  if (current()) chat("setIdentity", identityOf(current().dataset.email));
}

for (const menu of document.querySelectorAll("[data-signin]")) signIn(menu);
