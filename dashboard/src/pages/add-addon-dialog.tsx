import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { query, useCall } from "../api/queries.ts";
import { Dialog } from "../ui/dialog.tsx";
import { SelectField } from "../ui/field.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { Failure } from "../ui/notice.tsx";
import { PlanChoice } from "./plan-choice.tsx";

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
