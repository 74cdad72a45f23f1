import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { query } from "../api/queries.ts";
import { Block, Empty } from "../ui/block.tsx";
import { Secret } from "../ui/copy.tsx";
import { Loaded } from "../ui/loaded.tsx";

const route = getRouteApi("/signed-in/apps/$app");

export function AppEnvironmentPage() {
  const { app } = route.useParams();
  const variables = useQuery(query("listVariables", { path: { app }, query: { aliases: "true" } }));
  return (
    <Block title="Environment variables">
      <p className="muted">What the app sees of its databases. Point at a value, or focus it, to read it.</p>
      <Loaded from={variables}>
        {(reply) =>
          reply.variables.length === 0 ? (
            <Empty title="No variable yet">Each database that you add brings the variables which lead to it.</Empty>
          ) : (
            <ul className="stack">
              {reply.variables.map(({ id, name, value }) => (
                <li key={id}>
                  <div className="mono">{name}</div>
                  <Secret value={value} what={`Value of ${name}`} />
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Block>
  );
}
