import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import type { PeriodicBackups } from "../../generated/api.ts";
import { query, useCall } from "../api/queries.ts";
import { Block } from "../ui/block.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Check, SelectField } from "../ui/field.tsx";
import { Ago, browserZone, Instant } from "../ui/instant.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { Failure } from "../ui/notice.tsx";

interface ScheduleProps {
  app: string;
  addon: string;
  isChanging: boolean;
  onDone: () => void;
}

export function BackupScheduleBlock({ app, addon, isChanging, onDone }: ScheduleProps) {
  const periodic = useQuery(query("showPeriodicBackups", { path: { addon } }));
  const button = (
    <Link
      to="/apps/$app/databases/$addon/backups"
      params={{ app, addon }}
      search={{ schedule: true }}
      className="button"
    >
      Schedule
    </Link>
  );
  return (
    <Block title="Backup schedule" actions={button}>
      <Loaded from={periodic}>
        {(reply) => (
          <>
            <ScheduleText periodic={reply.periodic_backups} />
            {isChanging && <ScheduleDialog addon={addon} periodic={reply.periodic_backups} onClose={onDone} />}
          </>
        )}
      </Loaded>
    </Block>
  );
}

function ScheduleText({ periodic }: { periodic: PeriodicBackups }) {
  const [hour] = periodic.scheduled_at;
  const [next] = periodic.next_runs;
  if (!periodic.enabled || hour === undefined)
    return (
      <p>Scheduled backups are off. Nothing but continuous backups and those that you trigger protect this database.</p>
    );
  return (
    <>
      <p>
        Every day around <strong>{hourText(hour)} UTC</strong>, {localHourText(hour)}.
      </p>
      {next !== undefined && (
        <p className="muted">
          Next: <Instant at={next} /> (<Ago at={next} />)
          {periodic.waits_because !== null && `, waiting: ${periodic.waits_because}`}
        </p>
      )}
    </>
  );
}

function ScheduleDialog(props: { addon: string; periodic: PeriodicBackups; onClose: () => void }) {
  const [isEnabled, setIsEnabled] = useState(props.periodic.enabled);
  const [hour, setHour] = useState(props.periodic.scheduled_at[0] ?? 0);
  const change = useCall("changeDatabase", { onSuccess: props.onClose });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    change.mutate({
      path: { addon: props.addon },
      body: { database: { periodic_backups_enabled: isEnabled, periodic_backups_scheduled_at: hour } },
    });
  };
  return (
    <Dialog title="Backup schedule" onClose={props.onClose}>
      <form onSubmit={submit} className="stack">
        <Check checked={isEnabled} onChange={setIsEnabled}>
          I want to enable scheduled backups
        </Check>
        <SelectField
          label="Hour (UTC)"
          value={String(hour)}
          onChange={(value) => setHour(Number(value))}
          disabled={!isEnabled}
          options={HOURS.map((each) => ({ value: String(each), text: `${hourText(each)} UTC` }))}
          hint={`The backup begins around then: ${localHourText(hour)}.`}
        />
        <Failure error={change.error} />
        <div className="dialog-actions">
          <button type="button" className="button" onClick={props.onClose}>
            Cancel
          </button>
          <button type="submit" className="button primary" disabled={change.isPending}>
            Update
          </button>
        </div>
      </form>
    </Dialog>
  );
}

const HOURS = Array.from({ length: 24 }, (_, hour) => hour);

function hourText(hour: number): string {
  return `${String(hour).padStart(2, "0")}:00`;
}

/** The same moment in the viewer's zone, as its clock stands today. */
function localHourText(hourUtc: number): string {
  const moment = new Date();
  moment.setUTCHours(hourUtc, 0, 0, 0);
  const text = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" }).format(moment);
  return `${text} in your zone (${browserZone()})`;
}
