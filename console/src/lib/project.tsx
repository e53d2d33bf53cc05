import { createContext, type ReactNode, useContext } from 'react';
import type { Caller, Project } from './types.ts';

const ProjectContext = createContext<Project | null>(null);
const CallerContext = createContext<Caller | null>(null);

/** Makes the declarations and who is looking known to every page below. */
export function Known({
  project,
  caller,
  children,
}: {
  readonly project: Project;
  readonly caller: Caller;
  readonly children: ReactNode;
}) {
  return (
    <ProjectContext value={project}>
      <CallerContext value={caller}>{children}</CallerContext>
    </ProjectContext>
  );
}

export function useProject(): Project {
  const project = useContext(ProjectContext);
  if (project === null) throw new Error('A page stands outside <Known>.');
  return project;
}

export function useCaller(): Caller {
  const caller = useContext(CallerContext);
  if (caller === null) throw new Error('A page stands outside <Known>.');
  return caller;
}

/** Whether who is looking may change things. The API decides; this only spares a button that would be refused. */
export const useMayChange = (): boolean => ['operator', 'admin'].includes(useCaller().role);
