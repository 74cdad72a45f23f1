import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import type { Database, RecoveryWindow } from "../../generated/api.ts";
import { usePace } from "../api/live.tsx";
import { query } from "../api/queries.ts";
import { Block } from "../ui/block.tsx";
import { Command, Secret } from "../ui/copy.tsx";
import { Facts } from "../ui/facts.tsx";
import { Ago, Instant } from "../ui/instant.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { sizeText } from "../ui/size.ts";
import { SizeBlock } from "./trend-blocks.tsx";

const route = getRouteApi("/signed-in/apps/$app/databases/$addon");

/** How often what the platform itself changes is asked for. */
const WINDOW_INTERVAL_MS = 3000;
const BACKUPS_INTERVAL_MS = 10_000;

export function DatabaseOverviewPage() {
  const { addon } = route.useParams();
  const database = useQuery(query("showDatabase", { path: { addon } }));
  return (
    <>
      <HonestNumber addon={addon} />
      <Loaded from={database}>
        {(reply) => (
          <div className="columns">
            <DatabaseFacts database={reply.database} />
            <Connection database={reply.database} />
          </div>
        )}
      </Loaded>
      <SizeBlock addon={addon} />
    </>
  );
}

/** What can be brought back, and when that was last made sure of. */
function HonestNumber({ addon }: { addon: string }) {
  const pace = usePace();
  const path = { addon };
  const recovery = useQuery({
    ...query("showRecoveryWindow", { path }),
    refetchInterval: pace(WINDOW_INTERVAL_MS),
  });
  const backups = useQuery({ ...query("listBackups", { path }), refetchInterval: pace(BACKUPS_INTERVAL_MS) });
  const periodic = useQuery(query("showPeriodicBackups", { path }));
  const lastGood = backups.data?.database_backups.find(({ status }) => status === "done");
  const next = periodic.data?.periodic_backups;
  return (
    <section className="block" aria-label="How it is backed up">
      <div className="honest">
        <Loaded from={recovery}>{(reply) => <RestorableRange range={reply.recovery_window} />}</Loaded>
        <div>
          <div className="muted">Last good backup</div>
          <div className="figure">{lastGood === undefined ? "None yet" : <Ago at={lastGood.ended_at} />}</div>
          {lastGood !== undefined && (
            <div className="muted small">
              {lastGood.method}, {sizeText(lastGood.size ?? 0)}
            </div>
          )}
        </div>
        <div>
          <div className="muted">Next scheduled backup</div>
          <div className="figure">{next?.enabled === false ? "Off" : <Ago at={next?.next_runs[0] ?? null} />}</div>
          <div className="muted small">{next?.waits_because ?? <Instant at={next?.next_runs[0] ?? null} />}</div>
        </div>
      </div>
    </section>
  );
}

function RestorableRange({ range }: { range: RecoveryWindow }) {
  if (range.earliest_recoverable_at === null)
    return (
      <div>
        <div className="muted">Restorable</div>
        <div className="figure">Not yet</div>
        <div className="muted small">{range.stream?.reason ?? "The first base backup is being taken."}</div>
      </div>
    );
  return (
    <div>
      <div className="muted">Restorable to any moment</div>
      <div className="figure">
        up to <Ago at={range.latest_recoverable_at} />
      </div>
      <div className="muted small">
        from <Instant at={range.earliest_recoverable_at} />
        {range.holes.length > 0 && `, except ${range.holes.length === 1 ? "one hole" : `${range.holes.length} holes`}`}
      </div>
    </div>
  );
}

function DatabaseFacts({ database }: { database: Database }) {
  return (
    <Block title="Database">
      <Facts
        rows={[
          ["Plan", database.plan],
          ["Size", database.size === null ? "not known yet" : sizeText(database.size)],
          ["PostgreSQL", database.readable_version ?? "not started yet"],
          [
            "Address",
            <span className="mono">{`${database.hostname}:${database.instances[0]?.port ?? "none yet"}`}</span>,
          ],
          ["Created", <Instant at={database.created_at} />],
          ["Id", <span className="mono">{database.id}</span>],
        ]}
      />
    </Block>
  );
}

function Connection({ database }: { database: Database }) {
  const { app_name: app, id } = database;
  const variables = useQuery(query("listVariables", { path: { app }, query: { aliases: "false" } }));
  const port = database.instances[0]?.port;
  return (
    <Block title="Connection">
      <Loaded from={variables}>
        {(reply) => {
          const variable = reply.variables.find(({ value }) => leadsTo(value, database.resource_id));
          if (variable === undefined || port === null)
            return <p className="muted">Its address is known once it runs.</p>;
          return (
            <div className="stack" key={id}>
              <div>
                <p className="muted small">
                  Connection URI, also in the variable <code>{variable.name}</code> of the app
                </p>
                <Secret value={variable.value} what="Connection URI" />
              </div>
              <div>
                <p className="muted small">With psql, on this machine</p>
                <Command text={`psql "$(tidemark --app ${app} env-get ${variable.name})"`} />
              </div>
              <div>
                <p className="muted small">From elsewhere, by an SSH tunnel, with a key of your account</p>
                <Command text={`tidemark --app ${app} db-tunnel ${variable.name}`} />
              </div>
            </div>
          );
        }}
      </Loaded>
    </Block>
  );
}

/** Whether a value is the connection URI of the database with this name. */
function leadsTo(value: string, name: string): boolean {
  return URL.canParse(value) && new URL(value).pathname === `/${name}`;
}
