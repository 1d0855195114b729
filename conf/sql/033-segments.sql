-- compatible: yes
-- segments: saved filters over contacts; objects of many contacts at once, for exports

-- filter: as daemon/timeline/segment_filter.h says; it is compiled each time it is asked.
create table segment (
	tenant_id integer not null references tenant,
	id uuid not null,
	name text not null check (char_length(name) between 1 and 100),
	description text not null default '',
	filter jsonb not null check (jsonb_typeof(filter) = 'object'),
	created_at timestamptz not null default now(),
	created_by text not null,
	updated_at timestamptz not null default now(),
	primary key (tenant_id, id)
);
create unique index segment_name on segment (tenant_id, name);

create function segment_json(s segment) returns json language sql stable as $$
	select json_build_object('id', s.id, 'name', s.name, 'description', s.description,
		'filter', s.filter, 'created_at', time_text(s.created_at),
		'created_by', s.created_by, 'updated_at', time_text(s.updated_at))
$$;

-- state is idempotency_begin's, 'full' or 'taken' (the name).
create function segment_create(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_name text, p_description text, p_filter jsonb, p_fields text[],
	p_caller text, p_method text, p_path text, p_key text, p_hash bytea,
	out state text, out status integer, out response text) language plpgsql as $$
declare
	v segment;
begin
	select b.state, b.status, b.response into state, status, response
	from idempotency_begin(p_tenant, p_caller, p_method, p_path, p_key, p_hash) b;
	if state <> 'new' then
		return;
	end if;
	if (select count(*) from segment where tenant_id = p_tenant) >= 1000 then
		state := 'full';
		return;
	end if;
	insert into segment (tenant_id, id, name, description, filter, created_by)
	values (p_tenant, p_id, p_name, p_description, p_filter, p_actor)
	on conflict (tenant_id, name) do nothing
	returning * into v;
	if v.id is null then
		state := 'taken';
		return;
	end if;
	perform audit_add(p_tenant, p_actor, p_role, 'segment.created', 'segment', p_id::text,
		p_fields);
	status := 201;
	response := segment_json(v)::text;
	perform idempotency_end(p_tenant, p_caller, p_method, p_path, p_key, p_hash, status,
		response);
end $$;

-- Members of p_set are set. state: 'ok', 'not_found', 'taken'.
create function segment_patch(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_set jsonb, p_fields text[], out state text, out json text) language plpgsql as $$
declare
	v segment;
begin
	update segment s set name = coalesce(p_set->>'name', s.name),
		description = coalesce(p_set->>'description', s.description),
		filter = coalesce(p_set->'filter', s.filter), updated_at = clock_timestamp()
	where s.tenant_id = p_tenant and s.id = p_id
	returning * into v;
	if not found then
		state := 'not_found';
		return;
	end if;
	perform audit_add(p_tenant, p_actor, p_role, 'segment.updated', 'segment', p_id::text,
		p_fields);
	state := 'ok';
	json := segment_json(v)::text;
exception when unique_violation then
	state := 'taken';
end $$;

create function segment_delete(p_tenant integer, p_actor text, p_role text, p_id uuid)
returns boolean language plpgsql as $$
begin
	delete from segment where tenant_id = p_tenant and id = p_id;
	if not found then
		return false;
	end if;
	perform audit_add(p_tenant, p_actor, p_role, 'segment.deleted', 'segment', p_id::text,
		'{}');
	return true;
end $$;

-- An attribute as a number: what is one, and text that reads as one; else null.
create function attribute_number(jsonb) returns numeric
language sql immutable strict parallel safe as $$
	select case when $1#>>'{}' ~ '^\s*[-+]?[0-9]{1,40}(\.[0-9]{1,40})?\s*$'
		then ($1#>>'{}')::numeric end
$$;

-- contact_json of many roots at once, in the order of their ids: a few looks into indexes
-- for all of them instead of some for each. Every list and export of contacts ends here.
create function contacts_json(p_tenant integer, p_roots uuid[])
returns table (id uuid, object text) language plpgsql stable rows 1000 as $$
begin
	return query
	with member as materialized (
		select r.id as root, r.id from unnest(p_roots) r(id)
		union all
		select m.merged_into, m.id from contact m
		where m.tenant_id = p_tenant and m.merged_into = any (p_roots)),
	held as (
		select m.root, i.kind, i.value, max(i.trust) as trust,
			(array_agg(i.source order by i.trust desc, i.first_seen))[1] as source,
			min(i.first_seen) as first_seen, max(i.last_seen) as last_seen
		from member m cross join lateral (select * from identity x
			where x.contact_id = m.id and x.tenant_id = p_tenant offset 0) i
		group by m.root, i.kind, i.value),
	listed as (
		select h.root, json_agg(json_build_object('kind', h.kind, 'value', h.value,
			'trust', trust_text(h.trust), 'source', h.source,
			'first_seen', time_text(h.first_seen),
			'last_seen', time_text(h.last_seen))
			order by h.trust desc, h.first_seen, h.kind, h.value) as identities
		from held h group by h.root)
	select c.id, json_build_object('id', c.id, 'name', c.name, 'roles', c.roles,
		'language', c.language, 'timezone', c.timezone, 'vip', c.vip,
		'attributes', c.attributes,
		'organisation', case when c.organisation is not null
			then contact_root(p_tenant, c.organisation) end,
		'identities', coalesce(l.identities, '[]'),
		'created_at', time_text(c.created_at),
		'updated_at', time_text(c.updated_at))::text
	from unnest(p_roots) r(id)
	cross join lateral (select * from contact x
		where x.tenant_id = p_tenant and x.id = r.id offset 0) c
	left join listed l on l.root = c.id
	order by c.id;
end $$;
