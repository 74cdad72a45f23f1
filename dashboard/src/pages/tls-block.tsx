import type { Database } from "../../generated/api.ts";
import { useCall } from "../api/queries.ts";
import { Badge } from "../ui/badge.tsx";
import { Block } from "../ui/block.tsx";
import { Failure } from "../ui/notice.tsx";

const FEATURE = "force-ssl";

/** Whether connections without TLS are refused. */
export function TlsBlock({ database }: { database: Database }) {
  const enable = useCall("enableFeature");
  const disable = useCall("disableFeature");
  const path = { addon: database.id };
  const isForced = database.features.some(({ name }) => name === FEATURE);
  const change = () =>
    isForced
      ? disable.mutate({ path, query: { feature: FEATURE } })
      : enable.mutate({ path, body: { feature: { name: FEATURE } } });
  return (
    <Block title="Encrypted connections">
      <div className="row spread">
        <p>
          {isForced ? <Badge tone="good">forced</Badge> : <Badge tone="quiet">offered</Badge>}{" "}
          <span className="muted">
            {isForced
              ? "Connections without TLS are refused."
              : "TLS is offered to every client; those that ask for none get none."}
          </span>
        </p>
        <button type="button" className="button" disabled={enable.isPending || disable.isPending} onClick={change}>
          {isForced ? "Stop forcing TLS" : "Force TLS"}
        </button>
      </div>
      <Failure error={enable.error ?? disable.error} />
    </Block>
  );
}
