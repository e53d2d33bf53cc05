// The theme without its fonts: the site asks no other address for anything, and readers' own fonts load at once.
export { default } from 'vitepress/theme-without-fonts';
