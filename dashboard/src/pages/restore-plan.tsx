import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import type { PointInTimePlan } from "../../generated/api.ts";
import { usePace } from "../api/live.tsx";
import { query, useCall } from "../api/queries.ts";
import { Facts } from "../ui/facts.tsx";
import { Check } from "../ui/field.tsx";
import { instantText, useNow } from "../ui/instant.tsx";
import { Failure, Notice } from "../ui/notice.tsx";
import { durationText, sizeText } from "../ui/size.ts";
import { isOpen, OperationError } from "./operation-parts.tsx";

const PLAN_INTERVAL_MS = 500;
const HOUR_MS = 3_600_000;

interface RestorePlanProps {
  readonly addon: string;
  readonly at: string;
  /** Id of the operation whose result is the plan. */
  readonly operation: string;
  readonly onBack: () => void;
  readonly onClose: () => void;
}

/** The plan in words, the box to tick, and the button that begins. */
export function RestorePlan({ addon, at, operation, onBack, onClose }: RestorePlanProps) {
  const pace = usePace();
  const reply = useQuery({
    ...query("showDatabaseOperation", { path: { addon, operation } }),
    refetchInterval: ({ state }) =>
      state.data !== undefined && !isOpen(state.data.operation) ? false : pace(PLAN_INTERVAL_MS),
  });
  const planned = reply.data?.operation;
  return (
    <div className="stack">
      <p>
        To <strong>{instantText(Date.parse(at))}</strong>, your time.
      </p>
      <Failure error={reply.error} />
      {(planned === undefined || isOpen(planned)) && (
        <div className="progress" role="status">
          <span>Reading the log around that moment…</span>
          <div className="bar" />
        </div>
      )}
      {planned !== undefined && <OperationError operation={planned} />}
      {planned !== undefined && planned.plan !== null && <PlanFacts plan={planned.plan} />}
      <ConfirmForm addon={addon} at={at} plan={planned?.plan ?? null} onBack={onBack} onClose={onClose} />
    </div>
  );
}

function PlanFacts({ plan }: { plan: NonNullable<PointInTimePlan> }) {
  const { last_commit: last, first_left_out: next } = plan.target;
  return (
    <>
      <Facts
        rows={[
          ["Last change that is in", last === null ? "none after the base backup" : preciseText(last.time)],
          ["First one left out", next === null ? "none: nothing was written later" : preciseText(next.time)],
          ["Takes about", `${durationText(plan.estimated_seconds * 1000)} to build, then a restart`],
          ["Disk for the copy", sizeText(plan.disk_bytes)],
          ["To be read", sizeText(plan.fetch_bytes)],
          ["Can be undone", plan.undo_hours > 0 ? `for ${plan.undo_hours} hours` : "no: the disk has no room for both"],
        ]}
      />
      {plan.losses.length > 0 && (
        <Notice tone="warn">
          <p>
            <strong>What will be lost</strong>
          </p>
          <Sentences texts={plan.losses} />
        </Notice>
      )}
      {plan.notes.length > 0 && (
        <Notice>
          <Sentences texts={plan.notes} />
        </Notice>
      )}
    </>
  );
}

function Sentences({ texts }: { texts: readonly string[] }) {
  return (
    <ul className="sentences">
      {texts.map((text) => (
        <li key={text}>{text}</li>
      ))}
    </ul>
  );
}

function ConfirmForm(props: {
  addon: string;
  at: string;
  plan: PointInTimePlan;
  onBack: () => void;
  onClose: () => void;
}) {
  const { addon, at, plan } = props;
  const [isSure, setIsSure] = useState(false);
  const now = useNow();
  const restore = useCall("restorePointInTime", { onSuccess: props.onClose });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    restore.mutate({ path: { addon }, body: { restore_time: at } });
  };
  return (
    <form onSubmit={submit} className="stack">
      {plan !== null && (
        <Check checked={isSure} onChange={setIsSure}>
          {plan.undo_hours > 0
            ? `I understand that this replaces the database's current data; I can undo it until ${untilText(now, plan.undo_hours)}.`
            : "I understand that this action will permanently delete existing data and cannot be cancelled or undone once started."}
        </Check>
      )}
      <Failure error={restore.error} />
      <div className="dialog-actions">
        <button type="button" className="button" onClick={props.onBack}>
          Another moment
        </button>
        <button type="button" className="button" onClick={props.onClose}>
          Cancel
        </button>
        <button
          type="submit"
          className="button danger primary"
          disabled={!isSure || plan === null || restore.isPending}
        >
          Confirm
        </button>
      </div>
    </form>
  );
}

/** To the minute: the exact end is counted from the swap. */
function untilText(nowMs: number, hours: number): string {
  return instantText(nowMs + hours * HOUR_MS).slice(0, -":00".length);
}

/** An instant with its microseconds, in the viewer's zone. */
function preciseText(at: string): string {
  const fraction = /\.(\d{1,6})/.exec(at)?.[1] ?? "";
  return `${instantText(Date.parse(at))}${fraction === "" ? "" : `.${fraction}`}`;
}
