import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import type { Variable } from "../../generated/api.ts";
import { query, useCall } from "../api/queries.ts";
import { Block, Empty } from "../ui/block.tsx";
import { ConfirmedButton } from "../ui/confirmed-button.tsx";
import { Secret } from "../ui/copy.tsx";
import { Icon } from "../ui/icons.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { Failure } from "../ui/notice.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { AddVariableDialog, ChangeVariableDialog } from "./variable-dialogs.tsx";

const route = getRouteApi("/signed-in/apps/$app/environment");

export function AppEnvironmentPage() {
  const params = route.useParams();
  const { add, change } = route.useSearch();
  const navigate = route.useNavigate();
  const close = () => void navigate({ search: {} });
  const variables = useQuery(query("listVariables", { path: params, query: { aliases: "true" } }));
  const changed = variables.data?.variables.find(({ name, managed }) => name === change && !managed);
  const addLink = (
    <Link to="/apps/$app/environment" params={params} search={{ add: true }} className="button primary">
      <Icon name="plus" />
      Add a variable
    </Link>
  );
  return (
    <>
      <Block title="Environment variables" actions={addLink} flush>
        <p className="muted block-body">
          What commands that run in the app's name see: those of its databases, and your own. Point at a value, or focus
          it, to read it.
        </p>
        <Loaded from={variables}>
          {(reply) =>
            reply.variables.length === 0 ? (
              <Empty title="No variable yet">
                Each database that you add brings the variables which lead to it. Add your own for what your programs
                need beside them.
              </Empty>
            ) : (
              <VariableTable app={params.app} variables={reply.variables} />
            )
          }
        </Loaded>
      </Block>
      {add === true && <AddVariableDialog app={params.app} onClose={close} />}
      {changed !== undefined && (
        <ChangeVariableDialog key={changed.id} app={params.app} variable={changed} onClose={close} />
      )}
    </>
  );
}

function VariableTable({ app, variables }: { app: string; variables: readonly Variable[] }) {
  const remove = useCall("removeVariable");
  const columns: readonly Column<Variable>[] = [
    { title: "Name", cell: ({ name }) => <span className="mono name">{name}</span> },
    { title: "Value", kind: "wide", cell: ({ name, value }) => <Secret value={value} what={`Value of ${name}`} /> },
    {
      title: "Actions",
      kind: "actions",
      cell: ({ id, name, managed }) =>
        managed ? (
          <span className="muted small">belongs to its database</span>
        ) : (
          <>
            <Link
              to="/apps/$app/environment"
              params={{ app }}
              search={{ change: name }}
              className="button compact"
              aria-label={`Change ${name}`}
            >
              Change
            </Link>
            <ConfirmedButton
              word="Remove"
              what={name}
              question="Commands that begin from now on no longer find it, and its value is kept nowhere else."
              isPending={remove.isPending}
              onConfirm={() => remove.mutate({ path: { app, id } })}
            />
          </>
        ),
    },
  ];
  return (
    <>
      {remove.error !== null && (
        <div className="block-body">
          <Failure error={remove.error} />
        </div>
      )}
      <Table label="Environment variables" columns={columns} rows={variables} keyOf={({ id }) => id} />
    </>
  );
}
