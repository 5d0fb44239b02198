"use strict";
// Shows this service's own OpenAPI document. Nothing is asked of any other place: no validator
// badge, no document named in the address. Tokens are forgotten when the page is left.
(() => {
  const page = document.getElementById("swagger-ui");

  // What Swagger UI leaves out for those who do not see the page, or who have no mouse.
  const set = (selector, name, value) => {
    for (const found of page.querySelectorAll(selector)) {
      const wanted = typeof value === "function" ? value(found) : value;
      if (found.getAttribute(name) !== wanted) found.setAttribute(name, wanted);
    }
  };
  const drop = (selector, name) => {
    for (const found of page.querySelectorAll(`${selector}[${name}]`)) found.removeAttribute(name);
  };

  let shown = false; // whether the dialog is
  let opener = null; // what had the focus before it
  document.addEventListener("focusin", (event) => {
    if (event.target.closest(".modal-ux") === null) opener = event.target;
  });
  const mend = () => {
    set("h3.opblock-tag, .modal-ux-header h3", "aria-level", "2");
    set("h4", "aria-level", "3");
    set("h5", "aria-level", "4");
    set("thead td", "role", "columnheader");
    set("pre", "tabindex", "0"); // Long lines can be scrolled to.
    drop("table.responses-table", "role");
    drop("table.responses-table", "aria-live");
    drop("div.copy-to-clipboard", "aria-label");
    set(".close-modal", "aria-label", "Close");
    set("#auth-bearer-value", "aria-label", "Token");
    set("#auth-bearer-value", "autocomplete", "off");
    set(
      "tr[data-param-name] :is(input, select, textarea)",
      "aria-label",
      (field) => field.closest("tr").dataset.paramName,
    );
    set(".body-param__text", "aria-label", "Request body");

    const dialog = page.querySelector(".modal-ux");
    if (dialog !== null && !dialog.hasAttribute("role")) {
      shown = true;
      dialog.setAttribute("role", "dialog");
      dialog.setAttribute("aria-modal", "true");
      dialog.setAttribute("aria-label", "Token to send with requests");
      (dialog.querySelector("input") ?? dialog.querySelector("button"))?.focus();
    } else if (dialog === null && shown) {
      shown = false;
      opener?.focus();
    }
  };
  new MutationObserver(mend).observe(page, { childList: true, subtree: true });

  document.addEventListener("keydown", (event) => {
    const dialog = page.querySelector(".modal-ux");
    if (dialog === null) return;
    if (event.key === "Escape") {
      dialog.querySelector(".close-modal").click();
    } else if (event.key === "Tab") {
      const stops = [...dialog.querySelectorAll("button, input")];
      const end = event.shiftKey ? stops[0] : stops[stops.length - 1];
      if (document.activeElement !== end && dialog.contains(document.activeElement)) return;
      event.preventDefault();
      (event.shiftKey ? stops[stops.length - 1] : stops[0]).focus();
    }
  });

  window.SwaggerUIBundle({
    url: "/v1/openapi.json",
    domNode: page,
    deepLinking: false,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    persistAuthorization: false,
    queryConfigEnabled: false,
    syntaxHighlight: false,
    validatorUrl: null,
    // The page has a heading of its own, and there is one server: this.
    plugins: [{ components: { InfoContainer: () => null, ServersContainer: () => null } }],
    presets: [window.SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
  });
})();
