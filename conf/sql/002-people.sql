-- contacts, their addresses and identities, merges

-- One row per address ever seen: it is the lock under which holders are found or made.
-- normal: a form that is the same for everybody (E.164, ...); others never merge.
create table address (
	tenant_id integer not null,
	kind text not null,
	value text not null,
	normal boolean not null default true,
	primary key (tenant_id, kind, value)
);

-- What a name is found by: lower-case words, and for scripts without blanks every pair of
-- neighbouring characters and the last one (a prefix search finds single ones). Each begins
-- with the tenant, so that one index serves all and none sees another's.
create function name_tokens(p_tenant integer, p_name text) returns text[]
language plpgsql immutable parallel safe as $$
declare
	v_run text[];
	v_tokens text[] := '{}';
begin
	for v_run in select regexp_matches(
		lower(normalize(p_name, nfkc) collate "und-x-icu"),
		'([\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+)'
		'|([^\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff'
		'[:space:][:punct:]]+)', 'g')
	loop
		if v_run[1] is null then
			v_tokens := v_tokens || left(v_run[2], 60);
		else
			v_tokens := v_tokens || array(select substr(v_run[1], n, 2)
				from generate_series(1, length(v_run[1])) n);
		end if;
	end loop;
	return array(select distinct p_tenant || '/' || t from unnest(v_tokens) t);
end $$;

-- The search for what a person typed: every word as a prefix, characters of such scripts
-- in their pairs.
create function name_query(p_tenant integer, p_text text) returns tsquery
language plpgsql immutable parallel safe as $$
declare
	v_tokens text[] := name_tokens(p_tenant, p_text);
	v_single text := p_tenant || '/_';
begin
	return (select string_agg('''' || replace(replace(t, '\', '\\'), '''', '''''')
			|| ''':*', ' & ')
		from unnest(v_tokens) t
		-- the last character of a run is in a pair already
		where t not like v_single or ascii(right(t, 1)) < 12352
			or not exists (select from unnest(v_tokens) o
				where length(o) > length(t) and right(o, 1) = right(t, 1)))::tsquery;
end $$;

-- name null: unnamed, made for an address nobody had seen. merged_into: the contact at the
-- end of all merges, null if it is that itself.
create table contact (
	tenant_id integer not null,
	id uuid not null,
	merged_into uuid check (merged_into <> id),
	name text check (char_length(name) between 1 and 200),
	roles text[] not null default '{}' check (roles <@ array['customer', 'partner',
		'supplier', 'distributor', 'agency', 'franchisee', 'competitor', 'lead']),
	language text,
	timezone text,
	vip boolean not null default false,
	attributes jsonb not null default '{}' check (jsonb_typeof(attributes) = 'object'),
	organisation uuid,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	search tsvector generated always as (case when name is not null
		then array_to_tsvector(name_tokens(tenant_id, name)) end) stored,
	primary key (tenant_id, id)
);
create index contact_members on contact (tenant_id, merged_into) where merged_into is not null;
create index contact_search on contact using gin (search) where name is not null;

-- trust: 0 claimed, 1 recorded, 2 network, 3 verified.
create table identity (
	tenant_id integer not null,
	kind text not null,
	value text not null,
	contact_id uuid not null,
	trust smallint not null check (trust between 0 and 3),
	source text not null default '',
	first_seen timestamptz not null default now(),
	last_seen timestamptz not null default now(),
	primary key (tenant_id, kind, value, contact_id),
	foreign key (tenant_id, kind, value) references address,
	foreign key (tenant_id, contact_id) references contact
);
-- The contact first: an index that begins with the tenant looks as good as the key to a
-- planner without statistics, and a plan made then is kept.
create index identity_contact on identity (contact_id, tenant_id);

-- A merge destroys nothing: undoing it closes the row and points contacts back.
create table contact_merge (
	tenant_id integer not null,
	id bigint generated always as identity,
	survivor uuid not null,
	absorbed uuid not null,
	evidence jsonb not null,
	actor text not null,
	at timestamptz not null default now(),
	undone_at timestamptz,
	undone_by text,
	primary key (tenant_id, id),
	foreign key (tenant_id, survivor) references contact,
	foreign key (tenant_id, absorbed) references contact
);
create unique index contact_merge_open on contact_merge (tenant_id, absorbed)
	where undone_at is null;
create index contact_merge_survivor on contact_merge (tenant_id, survivor);

create function trust_text(integer) returns text language sql immutable strict parallel safe
as $$ select (array['claimed', 'recorded', 'network', 'verified'])[$1 + 1] $$;

create function contact_root(p_tenant integer, p_id uuid) returns uuid
language sql stable as
$$ select coalesce(merged_into, id) from contact where tenant_id = p_tenant and id = p_id $$;

-- A root and everything merged into it. Every reading by contact goes through this.
create function contact_members(p_tenant integer, p_root uuid) returns setof uuid
language sql stable rows 2 as $$
	select p_root
	union all
	select id from contact where tenant_id = p_tenant and merged_into = p_root
$$;

-- The object of contract.md. p_asked: the id it was asked by, for merged_from.
create function contact_json(p_tenant integer, p_root uuid, p_asked uuid,
	p_absorbed uuid[] default '{}') returns text language sql stable as $$
	select left(o, -1)
		|| case when p_asked <> p_root
			then ', "merged_from" : ' || to_json(p_asked)::text else '' end
		|| case when cardinality(p_absorbed) > 0
			then ', "absorbed" : ' || to_json(p_absorbed)::text else '' end
		|| '}'
	from (select json_build_object('id', c.id, 'name', c.name, 'roles', c.roles,
		'language', c.language, 'timezone', c.timezone, 'vip', c.vip,
		'attributes', c.attributes,
		'organisation', contact_root(p_tenant, c.organisation),
		'identities', coalesce((
			select json_agg(json_build_object('kind', kind, 'value', value,
				'trust', trust_text(trust), 'source', source,
				'first_seen', time_text(first_seen),
				'last_seen', time_text(last_seen))
				order by trust desc, first_seen, kind, value)
			from (select kind, value, max(trust) as trust,
				(array_agg(source order by trust desc, first_seen))[1] as source,
				min(first_seen) as first_seen, max(last_seen) as last_seen
				from identity
				where tenant_id = p_tenant and contact_id in
					(select contact_members(p_tenant, p_root))
				group by kind, value) i), '[]'),
		'created_at', time_text(c.created_at),
		'updated_at', time_text(c.updated_at))::text as o
	from contact c where c.tenant_id = p_tenant and c.id = p_root) x
$$;

-- Locks addresses ([{kind, value, normal}]), making their rows; always in one order.
create function address_lock(p_tenant integer, p_addresses jsonb) returns void
language plpgsql as $$
begin
	insert into address (tenant_id, kind, value, normal)
	select distinct on (a.kind, a.value) p_tenant, a.kind, a.value, a.normal
	from jsonb_to_recordset(p_addresses) a(kind text, value text, normal boolean)
	order by a.kind, a.value
	on conflict do nothing;
	perform 1 from address
	where tenant_id = p_tenant and (kind, value) in (select a.kind, a.value
		from jsonb_to_recordset(p_addresses) a(kind text, value text))
	order by tenant_id, kind, value for no key update;
end $$;

-- Two contacts with different values of one external namespace are two people.
create function contact_external_clash(p_tenant integer, p_contact uuid, p_other uuid,
	p_addresses jsonb) returns boolean language sql stable as $$
	select exists (
		select from identity o,
		lateral (select value from identity where tenant_id = p_tenant
				and kind = 'external' and contact_id in
				(select contact_members(p_tenant, p_contact))
			union all
			select a.value from jsonb_to_recordset(p_addresses)
				a(kind text, value text) where a.kind = 'external') m
		where o.tenant_id = p_tenant and o.kind = 'external'
			and o.contact_id in (select contact_members(p_tenant, p_other))
			and split_part(o.value, ':', 1) = split_part(m.value, ':', 1)
			and o.value <> m.value)
$$;

-- Both are roots, and locked.
create function contact_absorb(p_tenant integer, p_survivor uuid, p_absorbed uuid,
	p_evidence jsonb, p_actor text, p_role text) returns void language plpgsql as $$
begin
	insert into contact_merge (tenant_id, survivor, absorbed, evidence, actor)
	values (p_tenant, p_survivor, p_absorbed, p_evidence, p_actor);
	update contact set merged_into = p_survivor, updated_at = now()
	where tenant_id = p_tenant and (id = p_absorbed or merged_into = p_absorbed);
	perform audit_add(p_tenant, p_actor, p_role, 'contact.merged', 'contact',
		p_survivor::text, array[p_absorbed::text]);
end $$;

-- Gives a contact (a root that exists) these addresses; they are locked. Nothing is done
-- and the named holder is told if there is one that may not share. Unnamed holders are
-- absorbed.
create function contact_add_identities(p_tenant integer, p_actor text, p_role text,
	p_contact uuid, p_addresses jsonb, p_shared boolean,
	out conflict uuid, out absorbed uuid[]) language plpgsql as $$
declare
	v_holders uuid[];
	v record;
begin
	absorbed := '{}';
	v_holders := array(select distinct coalesce(c.merged_into, c.id)
		from jsonb_to_recordset(p_addresses) a(kind text, value text)
		join identity i on i.tenant_id = p_tenant and i.kind = a.kind
			and i.value = a.value
		join contact c on c.tenant_id = p_tenant and c.id = i.contact_id
		where coalesce(c.merged_into, c.id) <> p_contact);
	perform 1 from contact where tenant_id = p_tenant
		and (id = p_contact or id = any (v_holders) or merged_into = any (v_holders))
	order by id for no key update;
	for v in select c.id, c.name is not null
			or contact_external_clash(p_tenant, p_contact, c.id, p_addresses) as other
		from contact c where c.tenant_id = p_tenant and c.id = any (v_holders)
		order by c.id
	loop
		if v.other and not p_shared then
			conflict := v.id;
			return;
		elsif not v.other then
			absorbed := absorbed || v.id;
		end if;
	end loop;
	for v in select unnest(absorbed) as id loop
		perform contact_absorb(p_tenant, p_contact, v.id,
			jsonb_build_object('addresses', (select jsonb_agg(distinct
				jsonb_build_object('kind', i.kind, 'value', i.value))
				from jsonb_to_recordset(p_addresses) a(kind text, value text)
				join identity i on i.tenant_id = p_tenant and i.kind = a.kind
					and i.value = a.value
				where i.contact_id in (select contact_members(p_tenant, v.id)))),
			p_actor, p_role);
	end loop;
	-- What a member holds at that trust or better is not doubled: undoing the merge
	-- takes it away again.
	insert into identity (tenant_id, kind, value, contact_id, trust, source)
	select distinct on (a.kind, a.value) p_tenant, a.kind, a.value, p_contact, a.trust,
		p_actor
	from jsonb_to_recordset(p_addresses)
		a(kind text, value text, trust smallint)
	where not exists (select from identity i where i.tenant_id = p_tenant
		and i.kind = a.kind and i.value = a.value and i.trust >= a.trust
		and i.contact_id in (select contact_members(p_tenant, p_contact)))
	order by a.kind, a.value, a.trust desc
	on conflict (tenant_id, kind, value, contact_id) do update
	set trust = excluded.trust, source = excluded.source;
end $$;

-- POST /v1/contacts. p_set: the members of the object, checked by the daemon; p_addresses:
-- [{kind, value, normal, trust}]. state: 'created' with json, 'conflict' with json = the
-- other's id, 'no_organisation', or one of idempotency_begin's.
create function contact_create(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_set jsonb, p_addresses jsonb, p_shared boolean, p_fields text[],
	p_caller text, p_method text, p_path text, p_key text, p_hash bytea,
	out state text, out status integer, out json text) language plpgsql as $$
declare
	v record;
begin
	select * into v from idempotency_begin(p_tenant, p_caller, p_method, p_path, p_key,
		p_hash);
	state := v.state;
	status := v.status;
	json := v.response;
	if state <> 'new' then
		return;
	end if;
	if not contact_set_is_valid(p_tenant, p_set) then
		state := 'no_organisation';
		return;
	end if;
	perform address_lock(p_tenant, p_addresses);
	begin
		insert into contact (tenant_id, id) values (p_tenant, p_id);
		perform contact_set(p_tenant, p_id, p_set);
		select * into v from contact_add_identities(p_tenant, p_actor, p_role, p_id,
			p_addresses, p_shared);
		if v.conflict is not null then
			raise exception using errcode = 'IC409', message = v.conflict;
		end if;
	exception when sqlstate 'IC409' then
		state := 'conflict';
		json := sqlerrm;
		return;
	end;
	perform audit_add(p_tenant, p_actor, p_role, 'contact.created', 'contact', p_id::text,
		p_fields);
	state := 'created';
	status := 201;
	json := contact_json(p_tenant, p_id, p_id, v.absorbed);
	perform idempotency_end(p_tenant, p_caller, p_method, p_path, p_key, p_hash, status,
		json);
end $$;

create function contact_set_is_valid(p_tenant integer, p_set jsonb) returns boolean
language plpgsql stable as $$
begin
	-- raises invalid_parameter_value for a zone PostgreSQL does not know
	perform now() at time zone (p_set->>'timezone') where p_set->>'timezone' is not null;
	return p_set->>'organisation' is null
		or contact_root(p_tenant, (p_set->>'organisation')::uuid) is not null;
end $$;

-- Members present are set; null clears.
create function contact_set(p_tenant integer, p_id uuid, p_set jsonb) returns void
language sql as $$
	update contact set
		name = case when p_set ? 'name' then p_set->>'name' else name end,
		roles = case when p_set ? 'roles' then array(
			select jsonb_array_elements_text(p_set->'roles')) else roles end,
		language = case when p_set ? 'language' then p_set->>'language'
			else language end,
		timezone = case when p_set ? 'timezone' then p_set->>'timezone'
			else timezone end,
		vip = case when p_set ? 'vip' then (p_set->>'vip')::boolean else vip end,
		attributes = case when p_set ? 'attributes' then p_set->'attributes'
			else attributes end,
		organisation = case when p_set ? 'organisation'
			then (p_set->>'organisation')::uuid else organisation end,
		updated_at = now()
	where tenant_id = p_tenant and id = p_id
$$;

-- PATCH. p_remove: [{kind, value}] to take away. state: 'ok', 'not_found', 'conflict',
-- 'no_organisation'.
create function contact_patch(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_set jsonb, p_addresses jsonb, p_remove jsonb, p_shared boolean, p_fields text[],
	out state text, out json text) language plpgsql as $$
declare
	v record;
	v_root uuid;
begin
	perform address_lock(p_tenant, p_addresses || p_remove);
	v_root := contact_root(p_tenant, p_id);
	if v_root is null then
		state := 'not_found';
		return;
	end if;
	if not contact_set_is_valid(p_tenant, p_set)
		or (p_set->>'organisation')::uuid = v_root then
		state := 'no_organisation';
		return;
	end if;
	select * into v from contact_add_identities(p_tenant, p_actor, p_role, v_root,
		p_addresses, p_shared);
	if v.conflict is not null then
		state := 'conflict';
		json := v.conflict;
		return;
	end if;
	-- rows are locked now, in the one order; a merge may have come before us
	if v_root <> contact_root(p_tenant, p_id) then
		raise serialization_failure using message = 'the contact was merged meanwhile';
	end if;
	delete from identity i using jsonb_to_recordset(p_remove) r(kind text, value text)
	where i.tenant_id = p_tenant and i.kind = r.kind and i.value = r.value
		and i.contact_id in (select contact_members(p_tenant, v_root));
	perform contact_set(p_tenant, v_root, p_set);
	perform audit_add(p_tenant, p_actor, p_role, 'contact.updated', 'contact',
		v_root::text, p_fields);
	state := 'ok';
	json := contact_json(p_tenant, v_root, p_id, v.absorbed);
end $$;
