import { useState } from 'react';
import { Link, Redirect, Route, Router, Switch, useRoute } from 'wouter';
import { ApiProblem, remove } from './lib/api.ts';
import { Known, useCaller } from './lib/project.tsx';
import { useResource } from './lib/resource.ts';
import { applyTheme, readTheme, type Theme } from './lib/theme.ts';
import type { Caller, Project } from './lib/types.ts';
import { Alerts } from './pages/alerts.tsx';
import { DeadLetters } from './pages/dead-letters.tsx';
import { Entities } from './pages/entities.tsx';
import { Flow } from './pages/flow.tsx';
import { LogIn } from './pages/log-in.tsx';
import { Models } from './pages/models.tsx';
import { Pipelines } from './pages/pipelines.tsx';
import { OnePrediction } from './pages/prediction.tsx';
import { Predictions } from './pages/predictions.tsx';
import { Declared } from './pages/project.tsx';
import { Sql } from './pages/sql.tsx';
import { TryView } from './pages/try.tsx';
import { Failure, PageHead } from './parts/basics.tsx';

/** In the order of the questions that people have. */
const PAGES = [
  ['/', 'Flow'],
  ['/entities', 'Entities'],
  ['/predictions', 'Predictions'],
  ['/models', 'Models'],
  ['/alerts', 'Alerts'],
  ['/pipelines', 'Pipelines'],
  ['/dead-letters', 'Dead letters'],
  ['/project', 'Project'],
  ['/sql', 'SQL'],
] as const;

/** Below /console/, where the API serves it. */
export function App() {
  const session = useResource<Caller>('/v1/session');
  const project = useResource<Project>(session.data === null ? null : '/v1/project');
  if (session.error instanceof ApiProblem && session.error.status === 401)
    return <LogIn done={session.reload} />;
  const error = session.error ?? project.error;
  if (session.data === null || project.data === null)
    return (
      <main className="log-in">
        <h1 className="unseen">Millrace</h1>
        {error === null ? (
          <p className="empty" aria-busy="true">
            Looking …
          </p>
        ) : (
          <>
            <Failure error={error} retry={session.data === null ? session.reload : project.reload} />
            {session.data?.by === 'session' && (
              <button type="button" onClick={() => void remove('/v1/session').then(session.reload)}>
                Log out
              </button>
            )}
          </>
        )}
      </main>
    );
  return (
    <Known project={project.data} caller={session.data}>
      <Router base="/console">
        <Shell name={project.data.name} leave={session.reload} />
      </Router>
    </Known>
  );
}

function Shell({ name, leave }: { readonly name: string; readonly leave: () => void }) {
  return (
    <>
      <a className="skip" href="#page">
        To the page
      </a>
      <header className="top">
        <Link href="/" className="brand">
          <img src="/console/millrace.svg" width={26} height={26} alt="" /> <span>{name}</span>
        </Link>
        <nav aria-label="Pages">
          <ul>
            {PAGES.map(([path, title]) => (
              <Tab key={path} path={path} title={title} />
            ))}
          </ul>
        </nav>
        <div className="actions">
          <ThemeSwitch />
          <Who leave={leave} />
        </div>
      </header>
      <main id="page" tabIndex={-1}>
        <Pages />
      </main>
    </>
  );
}

function Tab({ path, title }: { readonly path: string; readonly title: string }) {
  const [here] = useRoute(path === '/' ? '/' : `${path}/*?`);
  return (
    <li>
      <Link href={path} aria-current={here ? 'page' : undefined}>
        {title}
      </Link>
    </li>
  );
}

function Pages() {
  return (
    <Switch>
      <Route path="/" component={Flow} />
      <Route path="/entities" component={Entities} />
      <Route path="/predictions/:model/:id">
        {({ model, id }) => <OnePrediction model={decodeURIComponent(model)} id={decodeURIComponent(id)} />}
      </Route>
      <Route path="/predictions/:model?">
        {({ model }) => <Predictions model={model === undefined ? undefined : decodeURIComponent(model)} />}
      </Route>
      <Route path="/models/:model?">
        {({ model }) => <Models model={model === undefined ? undefined : decodeURIComponent(model)} />}
      </Route>
      <Route path="/alerts" component={Alerts} />
      <Route path="/pipelines" component={Pipelines} />
      <Route path="/dead-letters/:source?">
        {({ source }) => (
          <DeadLetters source={source === undefined ? undefined : decodeURIComponent(source)} />
        )}
      </Route>
      <Route path="/project" component={Declared} />
      <Route path="/sql" component={Sql} />
      <Route path="/try" component={TryView} />
      <Route path="/index.html">
        <Redirect to="/" />
      </Route>
      <Route>
        <PageHead title="Nothing here" question="There is no such page.">
          <Link href="/">To the flow</Link>
        </PageHead>
      </Route>
    </Switch>
  );
}

function ThemeSwitch() {
  const [theme, setTheme] = useState<Theme>(readTheme);
  return (
    <select
      aria-label="Colours"
      value={theme}
      onChange={(event) => {
        const chosen = event.target.value as Theme;
        applyTheme(chosen);
        setTheme(chosen);
      }}
    >
      <option value="system">as the system</option>
      <option value="light">light</option>
      <option value="dark">dark</option>
    </select>
  );
}

function Who({ leave }: { readonly leave: () => void }) {
  const { name, role, by } = useCaller();
  if (by === 'open') return <span className="muted">this machine</span>;
  return (
    <>
      <span className="muted">
        {name}, {role}
      </span>
      {by === 'session' && (
        <button type="button" onClick={() => void remove('/v1/session').then(leave)}>
          Log out
        </button>
      )}
    </>
  );
}
