import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from '@playwright/test'
import { expect, test } from 'vitest'
import { findBrowser } from './browser.ts'

test('findBrowser() finds a browser that loads and measures a page', async () => {
  const { source, ...launchOptions } = await findBrowser()
  const browser = await chromium.launch(launchOptions)
  try {
    const page = await browser.newPage()
    await page.goto('data:text/html,<title>found</title><b>some text</b>')
    expect(await page.title()).toBe('found')
    // No fonts, no width.
    expect((await page.locator('b').boundingBox())?.width).toBeGreaterThan(10)
    expect(['playwright', 'system', 'sparticuz']).toContain(source)
  } finally {
    await browser.close()
  }
}, 60_000)

test('findBrowser() gives the same browser to all who ask at once', async () => {
  const paths = await Promise.all([findBrowser(), findBrowser(), findBrowser()])
  expect(new Set(paths.map(({ executablePath }) => executablePath)).size).toBe(1)
}, 60_000)

test('findBrowser() takes the browser that PLAYWRIGHT_MITM_BROWSER names', async () => {
  const found = await findBrowser({ PLAYWRIGHT_MITM_BROWSER: process.execPath })
  expect(found).toMatchObject({ executablePath: process.execPath, source: 'system' })
})

test('findBrowser() refuses a PLAYWRIGHT_MITM_BROWSER that does not run', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'browser-'))
  try {
    const path = join(folder, 'chromium')
    await writeFile(path, '#!/bin/sh\nexit 1\n', { mode: 0o755 })
    await expect(findBrowser({ PLAYWRIGHT_MITM_BROWSER: path })).rejects.toThrow('Cannot use PLAYWRIGHT_MITM_BROWSER')
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('findBrowser() never turns off what the tests are about', async () => {
  const { args } = await findBrowser()
  expect(args).toContain('--disable-quic')
  expect(args.filter((flag) => /web-security|ignore-certificate|single-process|allow-running/.test(flag))).toEqual([])
})
