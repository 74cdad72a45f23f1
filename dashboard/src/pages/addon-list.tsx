import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Addon } from "../../generated/api.ts";
import { Badge, type Tone } from "../ui/badge.tsx";

const TONES: Readonly<Record<Addon["status"], Tone>> = { provisioning: "busy", running: "good", suspended: "bad" };

/** The databases of an app, each with the button that leads to its own dashboard. */
export function AddonList(props: { app: string; addons: readonly Addon[]; actionsFor?: (addon: Addon) => ReactNode }) {
  return (
    <div className="table-frame">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Database</th>
            <th scope="col">Plan</th>
            <th scope="col">Status</th>
            <th scope="col">
              <span className="visually-hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {props.addons.map((addon) => (
            <tr key={addon.id}>
              <td>
                <strong>{addon.addon_provider.name}</strong>
                <div className="muted mono small">{addon.resource_id}</div>
              </td>
              <td>{addon.plan.display_name}</td>
              <td>
                <Badge tone={TONES[addon.status]}>{addon.status}</Badge>
              </td>
              <td className="actions">
                <Link
                  to="/apps/$app/databases/$addon"
                  params={{ app: props.app, addon: addon.id }}
                  className="button compact"
                  aria-label={`Dashboard of ${addon.resource_id}`}
                >
                  Dashboard
                </Link>
                {props.actionsFor?.(addon)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** While a server is being made its state is asked for often. */
const BUSY_INTERVAL_MS = 1000;
const IDLE_INTERVAL_MS = 10_000;

export function addonsInterval(addons: readonly Addon[] | undefined): number {
  return addons?.some((addon) => addon.status === "provisioning") === true ? BUSY_INTERVAL_MS : IDLE_INTERVAL_MS;
}
