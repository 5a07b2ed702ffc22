/** Light or dark: as the system says, unless the reader has chosen. */

export type Theme = "system" | "light" | "dark";

const KEY = "prefactor.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

/** Return what the reader has chosen. */
export function chosenTheme(): Theme {
  const stored = localStorage.getItem(KEY);
  return stored === "light" || stored === "dark" ? stored : "system";
}

/** Keep a choice and show it. */
export function chooseTheme(theme: Theme): void {
  if (theme === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, theme);
  show();
}

/** Show the chosen theme, and follow the system as it changes. */
export function applyTheme(): void {
  dark.addEventListener("change", show);
  show();
}

/** Whether the pages are dark now. */
export function isDark(): boolean {
  return document.documentElement.dataset.theme === "dark";
}

function show(): void {
  const chosen = chosenTheme();
  document.documentElement.dataset.theme =
    chosen === "system" ? (dark.matches ? "dark" : "light") : chosen;
  document.dispatchEvent(new Event("themechange"));
}
