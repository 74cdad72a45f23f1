import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from "@tanstack/react-router";
import { ApiError } from "./api/api-error.ts";
import { SESSION } from "./api/session.ts";
import { pageSearch } from "./pages/page-search.ts";
import { NotFoundPage } from "./pages/not-found-page.tsx";
import { CrashPage } from "./pages/crash-page.tsx";
import { Shell } from "./shell.tsx";

const root = createRootRouteWithContext<{ client: QueryClient }>()({ component: Outlet });

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: (search: Record<string, unknown>): { next?: string } =>
    typeof search["next"] === "string" && isOwnPath(search["next"]) ? { next: search["next"] } : {},
  component: lazyRouteComponent(() => import("./pages/login-page.tsx"), "LoginPage"),
});

/** Everything but the login: only for whom the platform knows. */
const signedIn = createRoute({
  getParentRoute: () => root,
  id: "signed-in",
  beforeLoad: async ({ context, location }) => {
    try {
      await context.client.ensureQueryData(SESSION);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401)
        throw redirect({ to: "/login", search: location.href === "/" ? {} : { next: location.href } });
      throw error;
    }
  },
  component: Shell,
});

const home = createRoute({
  getParentRoute: () => signedIn,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/apps" });
  },
});

const apps = createRoute({
  getParentRoute: () => signedIn,
  path: "/apps",
  validateSearch: (search: Record<string, unknown>): { create?: true } =>
    search["create"] === undefined ? {} : { create: true },
  component: lazyRouteComponent(() => import("./pages/apps-page.tsx"), "AppsPage"),
});

const app = createRoute({
  getParentRoute: () => signedIn,
  path: "/apps/$app",
  component: lazyRouteComponent(() => import("./pages/app-frame.tsx"), "AppFrame"),
});
const appOverview = createRoute({
  getParentRoute: () => app,
  path: "/",
  component: lazyRouteComponent(() => import("./pages/app-overview-page.tsx"), "AppOverviewPage"),
});
const appResources = createRoute({
  getParentRoute: () => app,
  path: "/resources",
  validateSearch: (search: Record<string, unknown>): { add?: true } =>
    search["add"] === undefined ? {} : { add: true },
  component: lazyRouteComponent(() => import("./pages/app-resources-page.tsx"), "AppResourcesPage"),
});
const appEnvironment = createRoute({
  getParentRoute: () => app,
  path: "/environment",
  validateSearch: (search: Record<string, unknown>): { add?: true; change?: string } => ({
    ...(search["add"] === undefined ? {} : { add: true }),
    ...textSearch(search, "change"),
  }),
  component: lazyRouteComponent(() => import("./pages/app-environment-page.tsx"), "AppEnvironmentPage"),
});
const appActivity = createRoute({
  getParentRoute: () => app,
  path: "/activity",
  validateSearch: pageSearch,
  component: lazyRouteComponent(() => import("./pages/app-activity-page.tsx"), "AppActivityPage"),
});
const appSettings = createRoute({
  getParentRoute: () => app,
  path: "/settings",
  component: lazyRouteComponent(() => import("./pages/app-settings-page.tsx"), "AppSettingsPage"),
});

const database = createRoute({
  getParentRoute: () => signedIn,
  path: "/apps/$app/databases/$addon",
  component: lazyRouteComponent(() => import("./pages/database-frame.tsx"), "DatabaseFrame"),
});
const databaseOverview = createRoute({
  getParentRoute: () => database,
  path: "/",
  component: lazyRouteComponent(() => import("./pages/database-overview-page.tsx"), "DatabaseOverviewPage"),
});
const backups = createRoute({
  getParentRoute: () => database,
  path: "/backups",
  component: lazyRouteComponent(() => import("./pages/backups-frame.tsx"), "BackupsFrame"),
});
const logicalBackups = createRoute({
  getParentRoute: () => backups,
  path: "/",
  validateSearch: (search: Record<string, unknown>): { schedule?: true } =>
    search["schedule"] === undefined ? {} : { schedule: true },
  component: lazyRouteComponent(() => import("./pages/logical-backups-page.tsx"), "LogicalBackupsPage"),
});
const continuousBackups = createRoute({
  getParentRoute: () => backups,
  path: "/continuous",
  validateSearch: (search: Record<string, unknown>): { restore?: true; at?: string; plan?: string } => ({
    ...(search["restore"] === undefined ? {} : { restore: true }),
    ...(Number.isNaN(Date.parse(String(search["at"]))) ? {} : { at: String(search["at"]) }),
    ...textSearch(search, "plan"),
  }),
  component: lazyRouteComponent(() => import("./pages/continuous-backups-page.tsx"), "ContinuousBackupsPage"),
});
const databaseLogs = createRoute({
  getParentRoute: () => database,
  path: "/logs",
  component: lazyRouteComponent(() => import("./pages/database-logs-page.tsx"), "DatabaseLogsPage"),
});
const databaseSettings = createRoute({
  getParentRoute: () => database,
  path: "/settings",
  component: lazyRouteComponent(() => import("./pages/database-settings-page.tsx"), "DatabaseSettingsPage"),
});
const account = createRoute({
  getParentRoute: () => signedIn,
  path: "/account",
  component: lazyRouteComponent(() => import("./pages/account-page.tsx"), "AccountPage"),
});

const platform = createRoute({
  getParentRoute: () => signedIn,
  path: "/platform",
  component: lazyRouteComponent(() => import("./pages/platform-frame.tsx"), "PlatformFrame"),
});
const platformDatabases = createRoute({
  getParentRoute: () => platform,
  path: "/",
  validateSearch: pageSearch,
  component: lazyRouteComponent(() => import("./pages/platform-databases-page.tsx"), "PlatformDatabasesPage"),
});
const platformUsers = createRoute({
  getParentRoute: () => platform,
  path: "/users",
  validateSearch: (search: Record<string, unknown>): { create?: true } =>
    search["create"] === undefined ? {} : { create: true },
  component: lazyRouteComponent(() => import("./pages/platform-users-page.tsx"), "PlatformUsersPage"),
});
const platformQueue = createRoute({
  getParentRoute: () => platform,
  path: "/queue",
  validateSearch: (search: Record<string, unknown>): { page?: number; state?: "done" | "error" | undefined } => ({
    ...pageSearch(search),
    ...(search["state"] === "done" || search["state"] === "error" ? { state: search["state"] } : {}),
  }),
  component: lazyRouteComponent(() => import("./pages/platform-queue-page.tsx"), "PlatformQueuePage"),
});
const audit = createRoute({
  getParentRoute: () => platform,
  path: "/audit",
  validateSearch: (search: Record<string, unknown>): { page?: number; app?: string; user?: string } => ({
    ...pageSearch(search),
    ...textSearch(search, "app"),
    ...textSearch(search, "user"),
  }),
  component: lazyRouteComponent(() => import("./pages/audit-page.tsx"), "AuditPage"),
});
const invitation = createRoute({
  getParentRoute: () => signedIn,
  path: "/invitations/$token",
  component: lazyRouteComponent(() => import("./pages/invitation-page.tsx"), "InvitationPage"),
});

const tree = root.addChildren([
  login,
  signedIn.addChildren([
    home,
    apps,
    app.addChildren([appOverview, appResources, appEnvironment, appActivity, appSettings]),
    database.addChildren([
      databaseOverview,
      backups.addChildren([logicalBackups, continuousBackups]),
      databaseLogs,
      databaseSettings,
    ]),
    account,
    platform.addChildren([platformDatabases, platformQueue, platformUsers, audit]),
    invitation,
  ]),
]);

/** The map of the dashboard. */
export function createDashboardRouter(client: QueryClient) {
  return createRouter({
    routeTree: tree,
    context: { client },
    defaultPreload: "intent",
    scrollRestoration: true,
    // What no route has checked reaches no page.
    search: { strict: true },
    defaultNotFoundComponent: NotFoundPage,
    defaultErrorComponent: CrashPage,
  });
}

/** A text of the address, if it is there. Numbers in an address are read as such. */
function textSearch<Name extends string>(search: Record<string, unknown>, name: Name): { [Key in Name]?: string } {
  const value = search[name];
  if (typeof value !== "string" && typeof value !== "number") return {};
  // The one member that the type has.
  return { [name]: String(value) } as { [Key in Name]?: string };
}

/** Addresses of this dashboard only: a login must not lead to another site. */
function isOwnPath(address: string): boolean {
  return /^\/(?![/\\])/.test(address);
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof createDashboardRouter>;
  }
}
