// Loquat's chat widget. A page sets, before this script:
//   var iky_base_url = "https://bot.example.com";   // where Loquat is; default: where this script came from
//   var chat_context = { username: "Ada" };          // optional; goes with every message
// Answers are shown as text, never as HTML.
(() => {
  "use strict";

  const pause = 500; // milliseconds between two bubbles of one answer
  const scriptUrl = document.currentScript ? document.currentScript.src : "";

  // A page may have declared these with var, let or const: not all of them are members of window.
  const baseUrl = () => {
    const given = typeof iky_base_url === "undefined" || !iky_base_url ? "" : String(iky_base_url);
    return (given || scriptUrl.replace(/\/static\/widget\/script\.js.*$/, "")).replace(/\/+$/, "");
  };
  const context = () => {
    const given = typeof chat_context === "undefined" ? null : chat_context;
    return given !== null && typeof given === "object" && !Array.isArray(given) ? given : {};
  };

  const makeId = () => {
    if (window.crypto && window.crypto.randomUUID) return window.crypto.randomUUID();
    const bytes = window.crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  };

  const styles = `
    .iky-chat-widget { position: fixed; right: 1.25rem; bottom: 1.25rem; z-index: 2147483000; font: 15px/1.45 system-ui, sans-serif; }
    .iky-chat-widget * { box-sizing: border-box; }
    .iky-chat-button { display: block; margin-left: auto; width: 3.5rem; height: 3.5rem; border: 0; border-radius: 50%; cursor: pointer;
      background: #b45309; color: #fff; font-size: 1.5rem; line-height: 1; box-shadow: 0 2px 10px rgba(0, 0, 0, .3); }
    .iky-chat-window { display: none; flex-direction: column; width: min(22rem, calc(100vw - 2.5rem));
      height: min(32rem, calc(100vh - 7rem)); margin-bottom: .75rem; overflow: hidden; border-radius: .75rem; background: #fff; color: #1c1917;
      box-shadow: 0 4px 24px rgba(0, 0, 0, .25); }
    .iky-chat-window.open { display: flex; }
    .iky-chat-title { margin: 0; padding: .75rem 1rem; background: #b45309; color: #fff; font-size: 1rem; font-weight: 600; }
    .iky-chat-messages { flex: 1; display: flex; flex-direction: column; gap: .5rem; padding: 1rem; overflow-y: auto; }
    .iky-message { max-width: 85%; padding: .5rem .75rem; border-radius: .75rem; white-space: pre-wrap; overflow-wrap: anywhere; }
    .iky-message.bot { align-self: flex-start; background: #f5f5f4; }
    .iky-message.user { align-self: flex-end; background: #b45309; color: #fff; }
    .iky-message.note { align-self: center; color: #57534e; font-size: .85em; }
    .iky-input-form { display: flex; gap: .5rem; padding: .75rem; border-top: 1px solid #e7e5e4; }
    .iky-input-field { flex: 1; min-width: 0; padding: .5rem .75rem; border: 1px solid #a8a29e; border-radius: .5rem; font: inherit; }
    .iky-send-button { padding: .5rem .75rem; border: 0; border-radius: .5rem; background: #b45309; color: #fff; font: inherit; cursor: pointer; }
  `;

  const element = (tag, className, attributes = {}, text = "") => {
    const made = document.createElement(tag);
    made.className = className;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.textContent = text;
    return made;
  };

  const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

  class ChatWidget {
    constructor() {
      this.threadId = makeId();
      this.last = Promise.resolve();
      this.build();
      this.send("/init_conversation");
    }

    build() {
      const style = element("style", "", {}, styles);
      this.window = element("div", "iky-chat-window", { role: "dialog", "aria-label": "Chat" });
      this.messages = element("div", "iky-chat-messages", { role: "log", "aria-live": "polite" });
      this.form = element("form", "iky-input-form");
      this.input = element("input", "iky-input-field", {
        type: "text", autocomplete: "off", maxlength: "2000", placeholder: "Write a message", "aria-label": "Your message",
      });
      this.form.append(this.input, element("button", "iky-send-button", { type: "submit" }, "Send"));
      this.window.append(element("h2", "iky-chat-title", {}, "Chat"), this.messages, this.form);
      this.button = element("button", "iky-chat-button", { type: "button", "aria-label": "Open the chat", "aria-expanded": "false" }, "\u{1F4AC}");
      const container = element("div", "iky-chat-widget");
      container.append(style, this.window, this.button);
      document.body.append(container);
      this.button.addEventListener("click", () => this.toggle());
      this.window.addEventListener("keydown", (event) => { if (event.key === "Escape") this.toggle(false); });
      this.form.addEventListener("submit", (event) => {
        event.preventDefault();
        const text = this.input.value.trim();
        if (text === "") return;
        this.input.value = "";
        this.show(text, "user");
        this.send(text);
      });
    }

    toggle(open = !this.window.classList.contains("open")) {
      this.window.classList.toggle("open", open);
      this.button.setAttribute("aria-expanded", String(open));
      this.button.setAttribute("aria-label", open ? "Close the chat" : "Open the chat");
      (open ? this.input : this.button).focus();
      this.messages.scrollTop = this.messages.scrollHeight;
    }

    show(text, kind) {
      this.messages.append(element("div", `iky-message ${kind}`, {}, text));
      this.messages.scrollTop = this.messages.scrollHeight;
    }

    // One message after the other, so that answers stand below what they answer.
    send(text) {
      this.last = this.last.then(() => this.exchange(text)).catch(() => {
        this.show("The message did not get through. Please try again later.", "note");
      });
    }

    async exchange(text) {
      const response = await fetch(`${baseUrl()}/bots/channels/rest/webbook`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ thread_id: this.threadId, text, context: context() }),
      });
      if (!response.ok) throw new Error(`status ${response.status}`);
      const answer = await response.json();
      const replies = (Array.isArray(answer) ? answer : [answer]).filter((reply) => reply && typeof reply.text === "string" && reply.text !== "");
      for (const [index, reply] of replies.entries()) {
        if (index > 0) await wait(pause);
        this.show(reply.text, "bot");
      }
    }
  }

  const start = () => new ChatWidget();
  if (document.readyState === "complete") start();
  else window.addEventListener("load", start);
})();
