import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import type { RecoveryWindow } from "../../generated/api.ts";
import { query, useCall } from "../api/queries.ts";
import { Block } from "../ui/block.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { Failure } from "../ui/notice.tsx";
import { DatabaseUsersBlock } from "./database-users-block.tsx";
import { MaintenanceBlock } from "./maintenance-block.tsx";
import { PlanBlock } from "./plan-block.tsx";
import { TlsBlock } from "./tls-block.tsx";

const route = getRouteApi("/signed-in/apps/$app/databases/$addon");

export function DatabaseSettingsPage() {
  const { app, addon } = route.useParams();
  const database = useQuery(query("showDatabase", { path: { addon } }));
  return (
    <Loaded from={database}>
      {(reply) => (
        <>
          <PlanBlock app={app} addon={addon} plan={reply.database.plan} />
          <TlsBlock database={reply.database} />
          <DatabaseUsersBlock addon={addon} />
          <MaintenanceBlock database={reply.database} />
          <ProtectionBlock addon={addon} />
        </>
      )}
    </Loaded>
  );
}

function ProtectionBlock({ addon }: { addon: string }) {
  const recovery = useQuery(query("showRecoveryWindow", { path: { addon } }));
  return (
    <Block title="When continuous backups stall">
      <Loaded from={recovery}>
        {(reply) => <Protection addon={addon} protects={reply.recovery_window.protects} />}
      </Loaded>
    </Block>
  );
}

const CHOICES = [
  {
    value: "database",
    title: "Protect the database",
    text: "Log that is not stored yet may be dropped before the disk fills. The recovery window then has a hole, and a new base backup begins at once.",
  },
  {
    value: "chain",
    title: "Protect the recovery window",
    text: "All log is kept until it is stored. If that never happens, the disk fills and the database stops.",
  },
] as const;

function Protection({ addon, protects }: { addon: string; protects: RecoveryWindow["protects"] }) {
  const [chosen, setChosen] = useState(protects);
  const change = useCall("protectDatabase");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    change.mutate({ path: { addon }, body: { pitr: { protects: chosen } } });
  };
  return (
    <form onSubmit={submit} className="stack">
      <fieldset className="plans">
        <legend className="visually-hidden">What is kept safe</legend>
        {CHOICES.map(({ value, title, text }) => (
          <label key={value} className="plan">
            <input type="radio" name="protects" checked={chosen === value} onChange={() => setChosen(value)} />
            <span>
              <strong>{title}</strong>
              <span className="muted small">{text}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <Failure error={change.error} />
      <div>
        <button type="submit" className="button primary" disabled={chosen === protects || change.isPending}>
          Save
        </button>
      </div>
    </form>
  );
}
