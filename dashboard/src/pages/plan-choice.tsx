import { useQuery } from "@tanstack/react-query";
import type { Plan } from "../../generated/api.ts";
import { query } from "../api/queries.ts";
import { Loaded } from "../ui/loaded.tsx";

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
