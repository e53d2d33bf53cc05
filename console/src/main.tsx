import './lib/language.ts';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import { applyTheme, readTheme } from './lib/theme.ts';
import './styles/tokens.css';
import './styles/page.css';
import './styles/parts.css';
import './styles/flow.css';
import './styles/drawn.css';

applyTheme(readTheme());
const root = document.getElementById('root');
if (root !== null)
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
