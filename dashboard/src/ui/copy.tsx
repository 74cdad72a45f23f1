import { useState } from "react";
import { Icon } from "./icons.tsx";

/** How long the button says that it has copied. */
const CONFIRMATION_MS = 2000;

/** Copies `text`; `what` names it for people who don't see the line it stands in. */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const [state, setState] = useState<"idle" | "copied" | "failed">("idle");
  const copy = async () => {
    setState((await copyText(text)) ? "copied" : "failed");
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

async function copyText(text: string): Promise<boolean> {
  // Browsers have no clipboard for pages that come over plain HTTP from another machine.
  if (!isSecureContext) return copyByCommand(text);
  return await navigator.clipboard.writeText(text).then(
    () => true,
    () => false,
  );
}

/** As pages copied before there was a clipboard for scripts: the browser asks what the command shall copy. */
function copyByCommand(text: string): boolean {
  const put = (event: ClipboardEvent) => {
    event.clipboardData?.setData("text/plain", text);
    event.preventDefault();
  };
  document.addEventListener("copy", put);
  try {
    return document.execCommand("copy");
  } finally {
    document.removeEventListener("copy", put);
  }
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
