// Colours: as the system says, or dark, or light; remembered.
const SIGNS = { system: "◐", dark: "●", light: "○" };

/** Applies the remembered colours and lets the button change them; `redraw` is called after a change. */
export function startTheme(button, redraw = () => {}) {
  let name = localStorage.getItem("theme");
  const show = () => {
    if (!(name in SIGNS)) name = "system";
    document.documentElement.toggleAttribute("data-theme", name !== "system");
    if (name !== "system") document.documentElement.setAttribute("data-theme", name);
    button.textContent = SIGNS[name];
  };
  button.addEventListener("click", () => {
    const names = Object.keys(SIGNS);
    name = names[(names.indexOf(name) + 1) % names.length];
    localStorage.setItem("theme", name);
    show();
    redraw();
  });
  show();
}
