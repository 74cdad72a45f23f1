import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { PlanChange } from "../../generated/api.ts";
import { query, useCall } from "../api/queries.ts";
import { Block } from "../ui/block.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Facts } from "../ui/facts.tsx";
import { Check } from "../ui/field.tsx";
import { instantText } from "../ui/instant.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { Failure, Notice } from "../ui/notice.tsx";
import { PlanChoice } from "./plan-choice.tsx";

interface PlanProps {
  readonly app: string;
  readonly addon: string;
}

export function PlanBlock({ app, addon, plan }: PlanProps & { plan: string }) {
  const [isChanging, setIsChanging] = useState(false);
  return (
    <Block title="Plan">
      <div className="row spread">
        <p>
          <strong>{plan}</strong>
        </p>
        <button type="button" className="button" onClick={() => setIsChanging(true)}>
          Change the plan
        </button>
      </div>
      {isChanging && <ChangeDialog app={app} addon={addon} onClose={() => setIsChanging(false)} />}
    </Block>
  );
}

function ChangeDialog({ app, addon, onClose }: PlanProps & { onClose: () => void }) {
  const [plan, setPlan] = useState<string | null>(null);
  const [isSure, setIsSure] = useState(false);
  const change = useCall("changePlan", { onSuccess: onClose });
  const choose = (chosen: string) => {
    setPlan(chosen);
    setIsSure(false);
  };
  return (
    <Dialog title="Change the plan" onClose={onClose}>
      <PlanChoice provider="postgresql" chosen={plan} onChoose={choose} />
      {plan !== null && <Preview app={app} addon={addon} plan={plan} />}
      <Check checked={isSure} onChange={setIsSure}>
        I have read what this changes
      </Check>
      <Failure error={change.error} />
      <div className="dialog-actions">
        <button type="button" className="button" onClick={onClose}>
          Cancel
        </button>
        <button
          type="button"
          className="button primary"
          disabled={plan === null || !isSure || change.isPending}
          onClick={() => plan !== null && change.mutate({ path: { app, addon }, body: { addon: { plan_id: plan } } })}
        >
          Change the plan
        </button>
      </div>
    </Dialog>
  );
}

/** What another plan means, for backups above all. */
function Preview({ app, addon, plan }: PlanProps & { plan: string }) {
  const preview = useQuery(query("previewPlanChange", { path: { app, addon }, query: { plan } }));
  return <Loaded from={preview}>{(reply) => <ChangeFacts change={reply.plan_change} />}</Loaded>;
}

function ChangeFacts({ change }: { change: PlanChange }) {
  const { from, to, backups } = change;
  const going = backups.filter(({ outcome }) => outcome === "goes");
  return (
    <>
      <Facts
        rows={[
          ["Memory", `${from.memory_mb} MB → ${to.memory_mb} MB`],
          ["Recovery window", `${from.recovery_window_days} days → ${to.recovery_window_days} days`],
          ["Restart", change.restarts ? "yes: the database is away for a moment" : "no"],
          ["Backups kept longer", String(backups.filter(({ outcome }) => outcome === "kept_longer").length)],
          ["Backups kept shorter", String(backups.filter(({ outcome }) => outcome === "kept_shorter").length)],
        ]}
      />
      {going.length > 0 && (
        <Notice tone="warn">
          <p>
            <strong>These backups go:</strong>{" "}
            {going.map((backup) => instantText(Date.parse(backup.created_at))).join("; ")}
          </p>
        </Notice>
      )}
    </>
  );
}
