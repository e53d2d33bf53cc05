import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const INSTALLED = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** A headless Chromium: that of CHROMIUM, one that is installed, or else the one that an npm package brings. */
export async function openChromium(): Promise<Browser> {
  const own = process.env.CHROMIUM ?? INSTALLED.find((path) => existsSync(path));
  if (own !== undefined) return chromium.launch({ executablePath: own, args: ['--no-sandbox'] });
  const { default: brought } = await import('@sparticuz/chromium');
  return chromium.launch({ executablePath: await brought.executablePath(), args: brought.args });
}
