/**
 * A browser started with the locale of a bare container names its language `en-US@posix`, which Intl refuses: uPlot asks for
 * its number format as it loads, and no page would show. Imported before everything else.
 */
try {
  Intl.getCanonicalLocales(navigator.language);
} catch {
  Object.defineProperty(navigator, 'language', { value: 'en-US', configurable: true });
}
