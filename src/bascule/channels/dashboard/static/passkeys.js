// Passkeys: the browser's authenticator is asked before a risky yes leaves, and when one is registered. What is signed
// for is the form's own fields, and the same fields are then sent as the answer.
"use strict";
(() => {
  const able = () =>
    Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON && window.PublicKeyCredential?.parseCreationOptionsFromJSON);

  const tell = (place, words) => {
    place.querySelector(".told")?.remove();
    const told = document.createElement("p");
    told.className = "notice bad told";
    told.setAttribute("role", "alert");
    told.textContent = words;
    place.append(told);
  };

  const sent = async (address, fields) => {
    const answer = await fetch(address, {
      method: "POST",
      body: new URLSearchParams(fields),
      headers: { Accept: "application/json" },
      credentials: "same-origin",
    });
    const body = await answer.json();
    if (!answer.ok) throw new Error([body.error.message, body.error.remedy].filter(Boolean).join(": "));
    return body;
  };

  const shown = (credential) => JSON.stringify(credential.toJSON());

  const prove = async (form, fields) => {
    if (!able()) throw new Error("This browser, or this address, has no passkeys: use http://localhost or HTTPS.");
    const options = await sent(form.dataset.begin, fields);
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
    const credential = await navigator.credentials.get({ publicKey });
    await sent(form.dataset.finish, [...fields, ["response", shown(credential)]]);
  };

  // Before anything else hears of it: a yes that takes a passkey waits until the passkey was used, then goes its way.
  document.addEventListener(
    "submit",
    async (event) => {
      const form = event.target;
      const button = event.submitter;
      if (!form.dataset.begin || button?.value === "deny") return;
      if (form.dataset.proved) {
        delete form.dataset.proved;
        return;
      }
      event.preventDefault();
      event.stopImmediatePropagation();
      const fields = [...new FormData(form)];
      const before = JSON.stringify(fields);
      try {
        await prove(form, fields);
        if (JSON.stringify([...new FormData(form)]) !== before) throw new Error("The answer changed meanwhile: once more, please.");
        form.dataset.proved = "yes";
        form.requestSubmit(button);
      } catch (error) {
        tell(form, error.name === "NotAllowedError" ? "The passkey was not used; nothing was answered." : error.message);
      }
    },
    true,
  );

  const register = document.getElementById("register");
  register?.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      if (!able()) throw new Error("This browser, or this address, has no passkeys: use http://localhost or HTTPS.");
      const options = await sent(register.dataset.make, []);
      const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
      const credential = await navigator.credentials.create({ publicKey });
      await sent(register.dataset.keep, [...new FormData(register), ["response", shown(credential)]]);
      location.reload();
    } catch (error) {
      tell(register, error.name === "NotAllowedError" ? "No passkey was made." : error.message);
    }
  });
})();
