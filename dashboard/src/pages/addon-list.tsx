import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Addon } from "../../generated/api.ts";
import { Badge, type Tone } from "../ui/badge.tsx";
import { type Column, Table } from "../ui/table.tsx";

const TONES: Readonly<Record<Addon["status"], Tone>> = { provisioning: "busy", running: "good", suspended: "bad" };

/** The databases of an app, each with the button that leads to its own dashboard. */
export function AddonList(props: { app: string; addons: readonly Addon[]; actionsFor?: (addon: Addon) => ReactNode }) {
  const columns: readonly Column<Addon>[] = [
    {
      title: "Database",
      cell: (addon) => (
        <>
          <strong>{addon.addon_provider.name}</strong>
          <div className="muted mono small">{addon.resource_id}</div>
        </>
      ),
    },
    { title: "Plan", cell: ({ plan }) => plan.display_name },
    { title: "Status", cell: ({ status }) => <Badge tone={TONES[status]}>{status}</Badge> },
    {
      title: "Actions",
      kind: "actions",
      cell: (addon) => (
        <>
          <Link
            to="/apps/$app/databases/$addon"
            params={{ app: props.app, addon: addon.id }}
            className="button compact"
            aria-label={`Dashboard of ${addon.resource_id}`}
          >
            Dashboard
          </Link>
          {props.actionsFor?.(addon)}
        </>
      ),
    },
  ];
  return <Table label="Databases" columns={columns} rows={props.addons} keyOf={({ id }) => id} />;
}

/** While a server is being made its state is asked for often. */
const BUSY_INTERVAL_MS = 1000;
const IDLE_INTERVAL_MS = 10_000;

export function addonsInterval(addons: readonly Addon[] | undefined): number {
  return addons?.some((addon) => addon.status === "provisioning") === true ? BUSY_INTERVAL_MS : IDLE_INTERVAL_MS;
}
