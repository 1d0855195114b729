-- tenants, leases, keys, idempotency and the audit: what every room stands on

-- Microseconds since 1970 are how times travel between the daemon and the database.
create function us_to_time(bigint) returns timestamptz
language sql stable strict parallel safe as
$$ select timestamptz 'epoch' + $1 * interval '1 microsecond' $$;

create function time_to_us(timestamptz) returns bigint
language sql stable strict parallel safe as
$$ select (extract(epoch from $1) * 1000000)::bigint $$;

-- RFC 3339 in UTC with milliseconds, as everything we answer has it.
create function time_text(timestamptz) returns text
language sql stable strict parallel safe as
$$ select to_char($1 at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

-- The milliseconds inside a UUIDv7 (RFC 9562 5.7).
create function uuid_time(uuid) returns timestamptz
language sql stable strict parallel safe as
$$ select timestamptz 'epoch' + interval '1 millisecond' *
	('x' || translate(left($1::text, 13), '-', ''))::bit(48)::bigint $$;

-- The smallest id a time can have: a bound of partitions and pages.
create function uuid_floor(timestamptz) returns uuid
language sql stable strict parallel safe as
$$ select (lpad(to_hex((extract(epoch from $1) * 1000)::bigint), 12, '0')
	|| repeat('0', 20))::uuid $$;

create table tenant (
	id integer generated always as identity primary key,
	name text not null unique check (name ~ '^[A-Za-z0-9._-]{1,64}$'),
	region text not null default '',
	timezone text not null default 'UTC',
	languages text not null default '',
	created_at timestamptz not null default now()
);
insert into tenant (name) values ('default');

-- Who does what only one daemon may do. tenant_id 0 = nobody's. A higher fence wins.
create table lease (
	tenant_id integer not null,
	name text not null,
	holder text not null,
	fence bigint not null default 1,
	renewed_at timestamptz not null default now(),
	primary key (tenant_id, name)
) with (fillfactor = 50);

create table api_key (
	tenant_id integer not null references tenant,
	id uuid not null,
	name text not null,
	role text not null check
		(role in ('admin', 'supervisor', 'agent', 'integration', 'readonly')),
	hash bytea not null,
	created_at timestamptz not null default now(),
	created_by text not null default '',
	last_used_at timestamptz,
	revoked_at timestamptz,
	primary key (tenant_id, id)
);
create index api_key_hash on api_key (hash);

-- What POST answered to a caller's Idempotency-Key; written with the effect.
create table idempotency (
	tenant_id integer not null,
	caller text not null,
	method text not null,
	path text not null,
	key text not null,
	body_hash bytea not null,
	status integer not null,
	response text not null,
	created_at timestamptz not null default now(),
	primary key (tenant_id, caller, method, path, key)
);
create index idempotency_age on idempotency (created_at);

-- Names of fields and ids of objects; never a value (values are erased, the audit is not).
create table audit (
	tenant_id integer not null,
	id bigint generated always as identity,
	at timestamptz not null default clock_timestamp(),
	actor text not null,
	role text not null default '',
	action text not null,
	object_kind text not null,
	object_id text not null,
	fields text[] not null default '{}',
	primary key (tenant_id, id)
);
create index audit_object on audit (tenant_id, object_kind, object_id, id);

create function audit_is_append_only() returns trigger language plpgsql as
$$ begin raise exception 'the audit can only be added to'; end $$;
create trigger audit_is_append_only before update or delete or truncate on audit
	for each statement execute function audit_is_append_only();

create function audit_add(p_tenant integer, p_actor text, p_role text, p_action text,
	p_kind text, p_id text, p_fields text[]) returns void language sql as
$$ insert into audit (tenant_id, actor, role, action, object_kind, object_id, fields)
	values (p_tenant, p_actor, coalesce(p_role, ''), p_action, p_kind, p_id,
		coalesce(p_fields, '{}')) $$;

-- Looks a key up and takes it for this transaction. state is 'new' (go on, then
-- idempotency_end), 'replayed' (with the stored answer), 'key_reused' (other body) or
-- 'in_progress' (another transaction has it right now). No key: always 'new'.
create function idempotency_begin(p_tenant integer, p_caller text, p_method text,
	p_path text, p_key text, p_hash bytea,
	out state text, out status integer, out response text) language plpgsql as $$
declare
	v record;
begin
	state := 'new';
	if p_key is null then
		return;
	end if;
	if not pg_try_advisory_xact_lock(hashtextextended(
		concat_ws(E'\x01', p_tenant, p_caller, p_method, p_path, p_key), 7)) then
		state := 'in_progress';
		return;
	end if;
	select i.body_hash, i.status, i.response into v from idempotency i
	where i.tenant_id = p_tenant and i.caller = p_caller and i.method = p_method
		and i.path = p_path and i.key = p_key
		and i.created_at > now() - interval '24 hours';
	if not found then
		return;
	end if;
	if v.body_hash <> p_hash then
		state := 'key_reused';
		return;
	end if;
	state := 'replayed';
	status := v.status;
	response := v.response;
end $$;

create function idempotency_end(p_tenant integer, p_caller text, p_method text,
	p_path text, p_key text, p_hash bytea, p_status integer, p_response text)
returns void language sql as $$
	insert into idempotency
		(tenant_id, caller, method, path, key, body_hash, status, response)
	select p_tenant, p_caller, p_method, p_path, p_key, p_hash, p_status, p_response
	where p_key is not null
	on conflict (tenant_id, caller, method, path, key) do update
	set body_hash = excluded.body_hash, status = excluded.status,
		response = excluded.response, created_at = excluded.created_at
$$;
