import type { ReactNode } from "react";
import type { ApiError } from "../api/api-error.ts";

export function Notice({ tone = "info", children }: { tone?: "info" | "good" | "warn" | "bad"; children: ReactNode }) {
  return <div className={`notice ${tone}`}>{children}</div>;
}

/**
 * The one place that turns a refusal into what people read: what happened, and what to do. Nothing when there is no error, nor when all that is wrong
 * is said beside its field: `beside` names the fields that do.
 */
export function Failure({ error, beside = [] }: { error: ApiError | null; beside?: readonly string[] }) {
  if (error === null) return null;
  const fields = Object.keys(error.fields);
  if (fields.length > 0 && fields.every((field) => beside.includes(field))) return null;
  return (
    <div className="notice bad" role="alert">
      <p>
        <strong>{sentence(error.message)}</strong>
      </p>
      {error.hint !== null && <p>{sentence(error.hint)}</p>}
      {error.requestId !== null && <p className="muted small">Request id for the platform's log: {error.requestId}</p>}
    </div>
  );
}

/** With a capital, unless it begins with a command, and a full stop. */
export function sentence(text: string): string {
  const capital = /^tidemark\b/.test(text) ? text : text.slice(0, 1).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}
