// Starts the system's Chromium, quiet and offline but for what the test opens.

import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome-stable', '/usr/bin/google-chrome'];

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--disable-features=LocalNetworkAccessChecks', // Telegram's page frames an app on loopback
];

export async function launch() {
  const executablePath = process.env.CHROMIUM || PLACES.find((path) => existsSync(path));
  if (!executablePath) throw new Error('No Chromium found: install it (apt-get install chromium) or set CHROMIUM to its path.');
  return chromium.launch({ executablePath, args: FLAGS });
}

export const SIZES = { phone: { width: 390, height: 844 }, desktop: { width: 1180, height: 820 } };
