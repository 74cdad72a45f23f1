import { useState } from "react";
import { Icon } from "./icons.tsx";

const KEY = "tidemark-theme";
const THEMES = ["system", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];
const ICONS = { system: "screen", light: "sun", dark: "moon" } as const;

/** Puts the chosen theme on the page; call it before the first drawing. */
export function applyTheme(): Theme {
  const stored = localStorage.getItem(KEY);
  const theme = THEMES.find((each) => each === stored) ?? "system";
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
  return theme;
}

/** Goes round: as the system has it, light, dark. */
export function ThemeButton() {
  const [theme, setTheme] = useState(applyTheme);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system";
  const change = () => {
    localStorage.setItem(KEY, next);
    setTheme(applyTheme());
  };
  return (
    <button
      type="button"
      className="button plain icon"
      onClick={change}
      title={`Theme: ${theme}`}
      aria-label={`Theme: ${theme}. Change to ${next}`}
    >
      <Icon name={ICONS[theme]} />
    </button>
  );
}
