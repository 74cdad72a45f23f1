import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import type { Plan } from "../../generated/api.ts";
import { query, useCall } from "../api/queries.ts";
import { Dialog } from "../ui/dialog.tsx";
import { SelectField } from "../ui/field.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { Failure } from "../ui/notice.tsx";

/** Provider, plan, Finish. */
export function AddAddonDialog({ app, onClose }: { app: string; onClose: () => void }) {
  const providers = useQuery(query("listProviders", {}));
  const [provider, setProvider] = useState("postgresql");
  const [plan, setPlan] = useState<string | null>(null);
  const create = useCall("createAddon", { onSuccess: onClose });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (plan !== null)
      create.mutate({ path: { app }, body: { addon: { addon_provider_id: provider, plan_id: plan } } });
  };
  return (
    <Dialog title="Add an addon" onClose={onClose}>
      <form onSubmit={submit} className="stack">
        <Loaded from={providers}>
          {(reply) => (
            <SelectField
              label="Provider"
              value={provider}
              onChange={setProvider}
              options={reply.addon_providers.map(({ id, name }) => ({ value: id, text: name }))}
            />
          )}
        </Loaded>
        <PlanChoice provider={provider} chosen={plan} onChoose={setPlan} />
        <Failure error={create.error} />
        <div className="dialog-actions">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button primary" disabled={plan === null || create.isPending}>
            Finish
          </button>
        </div>
      </form>
    </Dialog>
  );
}

/** The plans of a provider as one group of choices. */
export function PlanChoice(props: { provider: string; chosen: string | null; onChoose: (plan: string) => void }) {
  const plans = useQuery(query("listPlans", { path: { provider: props.provider } }));
  return (
    <Loaded from={plans}>
      {(reply) => (
        <fieldset className="field">
          <legend>Plan</legend>
          <div className="plans">
            {reply.plans.map((plan) => (
              <PlanCard key={plan.id} plan={plan} {...props} />
            ))}
          </div>
        </fieldset>
      )}
    </Loaded>
  );
}

function PlanCard(props: { plan: Plan; chosen: string | null; onChoose: (plan: string) => void }) {
  const { plan } = props;
  return (
    <label className="plan">
      <input
        type="radio"
        name="plan"
        value={plan.id}
        checked={props.chosen === plan.id}
        onChange={() => props.onChoose(plan.id)}
      />
      <span>
        <strong>{plan.display_name}</strong>
        <span className="muted small">{plan.description}</span>
      </span>
    </label>
  );
}
