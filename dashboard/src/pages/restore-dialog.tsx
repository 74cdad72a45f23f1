import { getRouteApi } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import type { RecoveryWindow } from "../../generated/api.ts";
import { useCall } from "../api/queries.ts";
import { Dialog } from "../ui/dialog.tsx";
import { browserZone, Instant } from "../ui/instant.tsx";
import { Failure } from "../ui/notice.tsx";
import { MomentField, momentIn } from "./moment-field.tsx";
import { RestorePlan } from "./restore-plan.tsx";

const route = getRouteApi("/signed-in/apps/$app/databases/$addon/backups/continuous");

interface RestoreDialogProps {
  readonly addon: string;
  readonly range: RecoveryWindow;
  readonly onClose: () => void;
}

/** Choose a moment, read what a restore to it would do, confirm. The plan's id is in the address, so that a reload shows it again. */
export function RestoreDialog({ addon, range, onClose }: RestoreDialogProps) {
  const { at, plan } = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <Dialog title="Start a PiTR" onClose={onClose}>
      {plan === undefined || at === undefined ? (
        <MomentForm
          addon={addon}
          range={range}
          at={at}
          onPlanned={(planned) => navigate({ search: { restore: true, ...planned } })}
          onClose={onClose}
        />
      ) : (
        <RestorePlan
          addon={addon}
          at={at}
          operation={plan}
          onBack={() => navigate({ search: { restore: true, at } })}
          onClose={onClose}
        />
      )}
    </Dialog>
  );
}

interface MomentFormProps extends RestoreDialogProps {
  readonly at: string | undefined;
  readonly onPlanned: (planned: { at: string; plan: string }) => void;
}

function MomentForm({ addon, range, at, onPlanned, onClose }: MomentFormProps) {
  const [moment, setMoment] = useState(() =>
    momentIn(Date.parse(at ?? range.latest_recoverable_at ?? ""), browserZone()),
  );
  const plan = useCall("planPointInTimeRestore", {
    onSuccess: (reply) => onPlanned({ at: moment.toAbsoluteString(), plan: reply.operation.id }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    plan.mutate({ path: { addon }, body: { restore_time: moment.toAbsoluteString() } });
  };
  return (
    <form onSubmit={submit} className="stack">
      <p className="muted">
        Any moment from <Instant at={range.earliest_recoverable_at} /> to <Instant at={range.latest_recoverable_at} />{" "}
        in your zone. The database goes on while the copy of that moment is built.
      </p>
      <MomentField value={moment} onChange={setMoment} />
      <Failure error={plan.error} />
      <div className="dialog-actions">
        <button type="button" className="button" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" className="button primary" disabled={plan.isPending}>
          Show the plan
        </button>
      </div>
    </form>
  );
}
