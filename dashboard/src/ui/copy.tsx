import { useState } from "react";
import { Icon } from "./icons.tsx";

/** How long the button says that it has copied. */
const CONFIRMATION_MS = 2000;

/** Copies `text`; `what` names it for people who don't see the line it stands in. */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const [state, setState] = useState<"idle" | "copied" | "failed">("idle");
  const copy = async () => {
    const copied = await navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    );
    setState(copied ? "copied" : "failed");
    setTimeout(() => setState("idle"), CONFIRMATION_MS);
  };
  const word = { idle: "Copy", copied: "Copied", failed: "Not allowed" }[state];
  return (
    <button type="button" className="button compact" onClick={copy} aria-label={`${word} ${what}`}>
      <Icon name={state === "copied" ? "check" : "copy"} />
      {word}
    </button>
  );
}

/** A value that is blurred until it is pointed at or focused. */
export function Secret({ value, what }: { value: string; what: string }) {
  return (
    <div className="secret-line">
      <div className="secret" tabIndex={0} role="group" aria-label={what}>
        <span className="veiled">{value}</span>
      </div>
      <CopyButton text={value} what={what} />
    </div>
  );
}

export function Command({ text }: { text: string }) {
  return (
    <div className="command">
      <code>{text}</code>
      <CopyButton text={text} what="command" />
    </div>
  );
}
