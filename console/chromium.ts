import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const INSTALLED = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Where the machine has none (LANG=C) Chromium names a language that its own Intl does not take. */
const LANGUAGE = { LANG: 'en_US.UTF-8', LC_ALL: 'en_US.UTF-8' };

/** A headless Chromium: that of CHROMIUM, one that is installed, or else the one that an npm package brings. */
export async function openChromium(more: readonly string[] = []): Promise<Browser> {
  const own = process.env.CHROMIUM ?? INSTALLED.find((path) => existsSync(path));
  // The package's own arguments are those of one page in a small function: one process for all, which the second page ends.
  const executablePath = own ?? (await (await import('@sparticuz/chromium')).default.executablePath());
  return chromium.launch({
    executablePath,
    args: ['--no-sandbox', ...more],
    env: { ...process.env, ...LANGUAGE },
  });
}
