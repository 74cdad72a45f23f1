import { flag, instant, list, nullable, number, record, text } from "./decode.ts";
import type { Decoder } from "./decode.ts";

/** Replies about one database, its backups aside; as in `replies.ts`, the parts that commands show. */
export interface Maintenance {
  readonly id: string;
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly started_at: Date | null;
  readonly ended_at: Date | null;
}

export interface DatabaseUser {
  readonly name: string;
  readonly read_only: boolean;
  readonly protected: boolean;
  readonly dbms_attributes: { readonly password_encryption: string } | null;
}

interface Pages {
  readonly pagination: { readonly current_page: number; readonly total_pages: number };
}

const maintenance: Decoder<Maintenance> = record<Maintenance>({
  id: text,
  type: text,
  status: text,
  reason: text,
  started_at: nullable(instant),
  ended_at: nullable(instant),
});

export const maintenanceReply = maintenance;
export const maintenancesReply = record<{ maintenance: Maintenance[]; meta: Pages }>({
  maintenance: list(maintenance),
  meta: record<Pages>({
    pagination: record<Pages["pagination"]>({ current_page: number, total_pages: number }),
  }),
});
export const logArchivesReply = record<{
  archives: { readonly url: string; readonly from: string; readonly to: string; readonly size: number }[];
}>({ archives: list(record({ url: text, from: text, to: text, size: number })) });
export const logLinkReply = record<{ url: string }>({ url: text });
export const featureReply = record<{ name: string; status: string; message: string }>({
  name: text,
  status: text,
  message: text,
});
export const databaseUsersReply = record<{ "database-users": DatabaseUser[] }>({
  "database-users": list(
    record<DatabaseUser>({
      name: text,
      read_only: flag,
      protected: flag,
      dbms_attributes: nullable(record<{ password_encryption: string }>({ password_encryption: text })),
    }),
  ),
});
export const databaseUserReply = record<{ database_user: { name: string; password: string | null } }>({
  database_user: record<{ name: string; password: string | null }>({ name: text, password: nullable(text) }),
});
