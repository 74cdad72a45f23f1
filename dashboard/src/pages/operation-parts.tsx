import type { PointInTimeOperation } from "../../generated/api.ts";
import { instantText } from "../ui/instant.tsx";
import { sizeText } from "../ui/size.ts";

/** Whether it is still under way. */
export function isOpen({ status }: PointInTimeOperation): boolean {
  return status === "scheduled" || status === "running";
}

/** Why it failed, and what to do; nothing when it did not. */
export function OperationError({ operation: { error } }: { operation: PointInTimeOperation }) {
  if (error === null) return null;
  return (
    <div className="notice bad" role="alert">
      <p>
        <strong>{error.message}</strong> <span className="muted mono small">{error.code}</span>
      </p>
      {error.hint !== null && <p>{error.hint}</p>}
    </div>
  );
}

const PHASES = [
  ["scheduled", "Scheduled"],
  ["planned", "Planned"],
  ["fetching", "Fetching the base backup"],
  ["replaying", "Replaying the log"],
  ["paused-at-target", "At that moment"],
  ["built", "Built and checked"],
  ["swapping", "Swapping"],
  ["starting", "Starting"],
] as const;
const UNDO_PHASES = new Set(["scheduled", "swapping", "starting"]);

/** The steps of a restore under way, the present one marked. */
export function OperationSteps({ operation }: { operation: PointInTimeOperation }) {
  const steps = PHASES.filter(([phase]) => operation.type !== "pitr_undo" || UNDO_PHASES.has(phase));
  const present = steps.findIndex(([phase]) => phase === operation.phase);
  return (
    <ol className="steps" aria-label="Steps">
      {steps.map(([phase, text], index) => (
        <li
          key={phase}
          className={index < present ? "is-past" : ""}
          aria-current={index === present ? "step" : undefined}
        >
          {text}
          {index === present && <span className="muted small"> {detailOf(operation)}</span>}
        </li>
      ))}
    </ol>
  );
}

function detailOf({ phase, progress }: PointInTimeOperation): string {
  if (phase === "fetching" && progress.total_bytes > 0)
    return `${sizeText(progress.done_bytes)} of ${sizeText(progress.total_bytes)}`;
  if (phase === "replaying" && progress.replayed_until !== null)
    return `until ${instantText(Date.parse(progress.replayed_until))}`;
  return "";
}
