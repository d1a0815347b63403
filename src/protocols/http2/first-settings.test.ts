import { expect, it } from 'vitest'

import { settingsOf } from './first-settings.ts'
import { PREFACE, SETTING } from './frame.ts'
import { writePing, writeSettings } from './frame-write.ts'

it('reads what a client says first of itself', () => {
  const settings = writeSettings([
    [SETTING.enablePush, 0],
    [SETTING.initialWindowSize, 6_291_456],
    [SETTING.maxHeaderListSize, 262_144],
  ])
  expect(settingsOf(Buffer.concat([PREFACE, settings, writePing(Buffer.alloc(8))]))).toEqual({
    initialWindowSize: 6_291_456,
    maxHeaderListSize: 262_144,
  })
})

it('reads nothing of what has not come whole, or is none', () => {
  const whole = Buffer.concat([PREFACE, writeSettings([[SETTING.initialWindowSize, 70_000]])])
  for (let length = 0; length < whole.length; length++) expect(settingsOf(whole.subarray(0, length))).toBeUndefined()
  expect(settingsOf(Buffer.concat([PREFACE, writePing(Buffer.alloc(8))]))).toBeUndefined()
  expect(settingsOf(Buffer.concat([PREFACE, writeSettings([])]))).toBeUndefined()
  // A value that there cannot be.
  expect(settingsOf(Buffer.concat([PREFACE, writeSettings([[SETTING.maxFrameSize, 2 ** 32 - 1]])]))).toBeUndefined()
})
