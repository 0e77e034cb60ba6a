// Sends the body that a person wrote to the address of the page, and shows the answer.
"use strict";

(() => {
  const form = document.querySelector("form[data-send]");
  if (form === null) return;

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const answer = await fetch(form.dataset.send, {
        method: "POST",
        headers: {
          "Accept": "application/json",
          "Content-Type": "application/json",
          "X-CSRFToken": form.elements.csrfmiddlewaretoken.value,
        },
        body: form.elements.body.value,
      });
      document.getElementById("status").textContent = `${answer.status} ${answer.statusText}`;
      document.getElementById("answer").textContent = inLines(await answer.text());
    } catch (error) {
      document.getElementById("status").textContent = `No answer: ${error.message}`;
    } finally {
      button.disabled = false;
    }
  });

  function inLines(text) {
    try {
      return JSON.stringify(JSON.parse(text), null, 4);
    } catch {
      return text;
    }
  }
})();
