import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import type { Platform } from "./platform.ts";

export interface Login {
  readonly username: string;
  readonly password: string;
}

/** The first user, whose password the platform wrote at its first start. */
export async function ownerLogin(platform: Platform): Promise<Login> {
  const text = await readFile(join(platform.home, "first-login"), "utf8");
  return { username: "owner", password: /^password: (.+)$/m.exec(text)?.[1] ?? "" };
}

/** Makes a user by the API. */
export async function makeUser(platform: Platform, login: Login & { readonly fullname?: string }): Promise<void> {
  const user = { ...login, email: `${login.username}@example.com`, fullname: login.fullname ?? "" };
  const reply = await platform.api("POST", "/v1/users", { body: { user } });
  if (reply.status !== 201) throw new Error(`No user: ${JSON.stringify(reply.body)}`);
}

/** From the login page to whatever stands behind it. */
export async function logIn(page: Page, login: Login): Promise<void> {
  await page.getByLabel("Username or e-mail address").fill(login.username);
  await page.getByLabel("Password").fill(login.password);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("button", { name: "Log out" }).waitFor();
}

/** Opens a database's dashboard as people do: from the list of apps. */
export async function openDatabase(page: Page, app: string): Promise<void> {
  await page.goto("/apps");
  await page.getByRole("link", { name: app, exact: true }).click();
  await page.getByRole("link", { name: /^Dashboard of / }).click();
  await page.getByRole("navigation", { name: "Pages of this database" }).waitFor();
}
