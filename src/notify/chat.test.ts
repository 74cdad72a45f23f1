import assert from "node:assert/strict";
import { test } from "node:test";
import { chatMessage } from "./chat.ts";
import type { Notice } from "./notice.ts";

const NOTICE: Notice = {
  id: "0193512a0000aaaaaaaaaaaa",
  type: "database_backup_failed",
  tone: "bad",
  title: "Backup failed: <!channel> & @all",
  facts: [{ label: "Error", value: "relation <x> is locked by @root" }],
  nextStep: "Look at <this>",
  link: "https://backups.example.com",
  event: {},
};

test("chatMessage() gives no character of a text a meaning in Slack", () => {
  assert.deepEqual(chatMessage(NOTICE, "slack"), {
    text: "Backup failed: &lt;!channel&gt; &amp; @all",
    attachments: [
      {
        color: "#c53030",
        fallback: "Backup failed: &lt;!channel&gt; &amp; @all",
        title: "Backup failed: &lt;!channel&gt; &amp; @all",
        title_link: "https://backups.example.com",
        text: "Look at &lt;this&gt;",
        fields: [{ title: "Error", value: "relation &lt;x&gt; is locked by @root", short: true }],
      },
    ],
  });
});

test("chatMessage() calls nobody in Rocket.Chat", () => {
  const text = JSON.stringify(chatMessage(NOTICE, "rocket_chat"));
  assert.ok(!/@(all|root)/.test(text));
  assert.match(text, /@\u2060all/);
});

test("chatMessage() cuts what is too long for a chat", () => {
  const long = { ...NOTICE, title: "x".repeat(5000), facts: [], nextStep: null };
  assert.ok(JSON.stringify(chatMessage(long, "slack")).length < 7000);
});
