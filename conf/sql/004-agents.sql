-- agents and their tokens

create table agent (
	tenant_id integer not null references tenant,
	id text not null check (id ~ '^[A-Za-z0-9._-]{1,64}$'),
	name text not null default '',
	interfaces text[] not null default '{}',
	queues text[] not null default '{}',
	capacity jsonb not null default '{"call": 1}',
	state text not null default 'offline',
	state_reason text,
	state_since timestamptz not null default now(),
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	primary key (tenant_id, id)
);

create table agent_token (
	tenant_id integer not null,
	id uuid not null,
	agent_id text not null,
	hash bytea not null,
	created_at timestamptz not null default now(),
	created_by text not null default '',
	expires_at timestamptz,
	revoked_at timestamptz,
	last_used_at timestamptz,
	primary key (tenant_id, id)
);
create index agent_token_hash on agent_token (hash);
create index agent_token_agent on agent_token (tenant_id, agent_id);
