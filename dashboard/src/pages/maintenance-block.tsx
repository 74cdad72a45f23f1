import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import type { Database, Maintenance } from "../../generated/api.ts";
import { query, useCall } from "../api/queries.ts";
import { Badge, type Tone } from "../ui/badge.tsx";
import { Block } from "../ui/block.tsx";
import { SelectField } from "../ui/field.tsx";
import { Instant } from "../ui/instant.tsx";
import { Failure } from "../ui/notice.tsx";
import { type Column, Table } from "../ui/table.tsx";

const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const HOURS = Array.from({ length: 24 }, (_, hour) => hour);
const DURATIONS = [1, 2, 4, 8];

/** When the platform may restart the server for upkeep, and when it did. */
export function MaintenanceBlock({ database }: { database: Database }) {
  const maintenances = useQuery(query("listMaintenances", { path: { addon: database.id }, query: {} }));
  const past = maintenances.data?.maintenance ?? [];
  return (
    <Block title="Maintenance window">
      <p className="muted">
        Restarts for minor upgrades wait for this time, UTC. Backups that are due wait until it is over.
      </p>
      <WindowForm database={database} />
      {past.length > 0 && (
        <Table label="Maintenances, newest first" columns={COLUMNS} rows={past} keyOf={({ id }) => id} />
      )}
    </Block>
  );
}

const TONES: Readonly<Record<Maintenance["status"], Tone>> = {
  scheduled: "quiet",
  running: "busy",
  done: "good",
  failed: "bad",
  cancelled: "quiet",
};

const COLUMNS: readonly Column<Maintenance>[] = [
  { title: "What", cell: ({ type }) => type.replaceAll("_", " ") },
  { title: "Why", cell: ({ reason }) => reason },
  { title: "Status", cell: ({ status }) => <Badge tone={TONES[status]}>{status}</Badge> },
  { title: "Ended", cell: (each) => <Instant at={each.ended_at} /> },
];

function WindowForm({ database }: { database: Database }) {
  const present = database.maintenance_window;
  const [chosen, setChosen] = useState(present);
  const change = useCall("changeDatabase");
  const isSame = JSON.stringify(chosen) === JSON.stringify(present);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    change.mutate({ path: { addon: database.id }, body: { database: { maintenance_window: chosen } } });
  };
  const durations = [...new Set([...DURATIONS, present.duration_in_hour])].toSorted((left, right) => left - right);
  return (
    <form onSubmit={submit} className="inline-form">
      <SelectField
        label="Day"
        value={String(chosen.weekday_utc)}
        onChange={(day) => setChosen({ ...chosen, weekday_utc: Number(day) })}
        options={WEEKDAYS.map((text, day) => ({ value: String(day), text }))}
      />
      <SelectField
        label="From (UTC)"
        value={String(chosen.starting_hour_utc)}
        onChange={(hour) => setChosen({ ...chosen, starting_hour_utc: Number(hour) })}
        options={HOURS.map((hour) => ({ value: String(hour), text: `${String(hour).padStart(2, "0")}:00` }))}
      />
      <SelectField
        label="For"
        value={String(chosen.duration_in_hour)}
        onChange={(hours) => setChosen({ ...chosen, duration_in_hour: Number(hours) })}
        options={durations.map((hours) => ({ value: String(hours), text: hours === 1 ? "1 hour" : `${hours} hours` }))}
      />
      <button type="submit" className="button" disabled={isSame || change.isPending}>
        Save
      </button>
      <Failure error={change.error} />
    </form>
  );
}
