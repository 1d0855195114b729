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
declare
	v_age interval := identity_age(p_tenant);
begin
	return query
	with part as materialized (
		select m.merged_into as root, m.id, m.name from contact m
		where m.tenant_id = p_tenant and m.merged_into = any (p_roots)),
	member as materialized (
		select r.id as root, r.id from unnest(p_roots) r(id)
		union all
		select a.root, a.id from part a),
	named as (
		select distinct on (a.root) a.root, a.name from part a
		where a.name is not null order by a.root, a.id),
	employer as (
		select m.root from member m cross join lateral (
			select from contact p where p.tenant_id = p_tenant
				and p.organisation = m.id and p.id <> m.root limit 1) p
		group by m.root),
	held as (
		select m.root, i.kind, i.value, max(i.trust) as trust,
			(array_agg(i.source order by i.trust desc, i.first_seen))[1] as source,
			min(i.first_seen) as first_seen, max(i.last_seen) as last_seen
		from member m cross join lateral (select x.kind, x.value, x.source,
				x.first_seen, x.last_seen, identity_trust(x.kind, x.trust,
					x.source, x.last_seen, now(), v_age) as trust
			from identity x
			where x.contact_id = m.id and x.tenant_id = p_tenant offset 0) i
		group by m.root, i.kind, i.value),
	listed as (
		select h.root, json_agg(json_build_object('kind', h.kind, 'value', h.value,
			'trust', trust_text(h.trust), 'source', h.source,
			'first_seen', time_text(h.first_seen),
			'last_seen', time_text(h.last_seen))
			order by h.trust desc, h.first_seen, h.kind, h.value) as identities
		from held h group by h.root)
	select c.id, json_build_object('id', c.id, 'name', coalesce(c.name, n.name),
		'roles', c.roles, 'language', c.language, 'timezone', c.timezone,
		'vip', c.vip, 'attributes', c.attributes,
		'organisation', case when c.organisation is not null
			then nullif(contact_root(p_tenant, c.organisation), c.id) end,
		'identities', coalesce(l.identities, '[]'),
		'created_at', time_text(c.created_at),
		'updated_at', time_text(c.updated_at),
		'type', case when e.root is not null then 'organisation' else c.type end)::text
	from unnest(p_roots) r(id)
	cross join lateral (select * from contact x
		where x.tenant_id = p_tenant and x.id = r.id offset 0) c
	left join listed l on l.root = c.id
	left join named n on n.root = c.id
	left join employer e on e.root = c.id
	order by c.id;
end $$;

-- The same for an export: with the wishes of those that have any.
create function contacts_export_json(p_tenant integer, p_roots uuid[])
returns table (id uuid, object text) language plpgsql stable rows 1000 as $$
begin
	return query
	with wishing as (
		select m.root
		from (select r.id as root, r.id from unnest(p_roots) r(id)
			union all
			select k.merged_into, k.id from contact k
			where k.tenant_id = p_tenant and k.merged_into = any (p_roots)) m
		cross join lateral (select from preference p where p.tenant_id = p_tenant
			and p.contact_id = m.id offset 0) p
		group by m.root)
	select x.id, case when w.root is null then x.object else json_with(x.object,
		'preferences', wishes_json(p_tenant, x.id)::json) end
	from contacts_json(p_tenant, p_roots) x left join wishing w on w.root = x.id
	order by x.id;
end $$;

-- ---- What filters ask of wishes -----------------------------------------------------------

-- Each gives who of the contacts (p_low, p_high] is meant, merged ones with all of their
-- members: as 031-wishes.sql says it of one contact, from the few rows there are.

-- What a row of wish says now; null: nothing.
create function wish_says(p_tenant integer, p_own text, p_merges bigint[]) returns text
language sql stable as $$
	select case when p_merges is not null and merges_last(p_tenant, p_merges)
		then 'allowed' else p_own end
$$;

create function segment_wishes(p_tenant integer, p_low uuid, p_high uuid)
returns table (root uuid, kind text, purpose text, says text)
language sql stable rows 100 as $$
	select w.root, w.kind, w.purpose, wish_says(p_tenant, w.own, w.merges)
	from (select w.contact_id as root, w.kind, w.purpose, w.own, w.merges from wish w
		where w.tenant_id = p_tenant and w.contact_id > p_low and w.contact_id <= p_high
		union all
		select m.merged_into, w.kind, w.purpose, w.own, w.merges
		from wish w join contact m on m.tenant_id = w.tenant_id and m.id = w.contact_id
		where w.tenant_id = p_tenant and m.merged_into > p_low
			and m.merged_into <= p_high) w
$$;

-- Who said something of a kind and purpose, be it of one address. denied: one of them, or
-- a member, denies it, or nothing at all is wanted.
create function segment_consents(p_tenant integer, p_low uuid, p_high uuid, p_kind text,
	p_purpose text) returns table (root uuid, denied boolean)
language sql stable rows 100 as $$
	select w.root, bool_or(w.says = 'denied')
	from segment_wishes(p_tenant, p_low, p_high) w
	where (w.says = 'allowed' and w.kind = p_kind and w.purpose = p_purpose)
		or (w.says = 'denied' and w.kind in (p_kind, '*')
			and w.purpose in (p_purpose, '*'))
	group by w.root
$$;

create function segment_silent(p_tenant integer, p_low uuid, p_high uuid)
returns table (root uuid) language sql stable rows 100 as $$
	select w.root from segment_wishes(p_tenant, p_low, p_high) w
	where w.kind = '*' and w.says = 'denied' group by w.root
$$;

create function segment_preferred(p_tenant integer, p_low uuid, p_high uuid)
returns table (root uuid, preferred text[]) language sql stable rows 100 as $$
	select distinct on (s.root) s.root, s.preferred
	from (select p.contact_id as root, p.contact_id, p.preferred, p.updated_at
		from preference p
		where p.tenant_id = p_tenant and p.contact_id > p_low
			and p.contact_id <= p_high and p.preferred <> '{}'
		union all
		select m.merged_into, p.contact_id, p.preferred, p.updated_at
		from preference p
		join contact m on m.tenant_id = p.tenant_id and m.id = p.contact_id
		where p.tenant_id = p_tenant and m.merged_into > p_low
			and m.merged_into <= p_high and p.preferred <> '{}') s
	order by s.root, s.contact_id <> s.root, s.updated_at desc, s.contact_id
$$;

-- Who has an address (of a kind; null = any) that is suppressed. Addresses of erased people
-- are known by their hashes alone, which is asked only while there are such.
create function segment_suppressed(p_tenant integer, p_low uuid, p_high uuid, p_kind text)
returns table (root uuid) language sql stable rows 1000 as $$
	with held as not materialized (
		select i.contact_id as root, i.kind, i.value from identity i
		where i.tenant_id = p_tenant and i.contact_id > p_low and i.contact_id <= p_high
			and (p_kind is null or i.kind = p_kind)
		union all
		select m.merged_into, i.kind, i.value
		from contact m join identity i on i.tenant_id = m.tenant_id
			and i.contact_id = m.id
		where m.tenant_id = p_tenant and m.merged_into > p_low
			and m.merged_into <= p_high and (p_kind is null or i.kind = p_kind))
	select h.root from held h
	where exists (select from suppression s where s.tenant_id = p_tenant
		and s.kind = h.kind and s.value = h.value)
	union
	select h.root from held h
	where exists (select from suppression_list l
		join suppression_listed s on s.tenant_id = l.tenant_id and s.list_id = l.id
			and s.generation = l.generation
		where l.tenant_id = p_tenant and s.kind = h.kind and s.value = h.value)
	union
	select h.root from held h
	where exists (select from suppression s where s.tenant_id = p_tenant
			and s.reason = 'erased')
		and exists (select from suppression s where s.tenant_id = p_tenant
			and s.kind = h.kind and s.reason = 'erased'
			and s.value = address_hash(p_tenant, h.kind, h.value))
$$;

-- ---- Import -------------------------------------------------------------------------------

-- As in 023-lookup.sql, but a row may name its contact ("known": an id), as the lines of an
-- export do, and what is an organisation by its people need not be said to be one.
create or replace function contact_import_one(p_tenant integer, p_actor text, p_role text,
	p_row jsonb, out state text, out detail text, out contact uuid, out absorbed uuid[])
language plpgsql as $$
declare
	v_set jsonb := p_row->'set';
	v_add jsonb := p_row->'add';
	v_found record;
	v_organisation uuid[];
	v_contact contact;
	v_missing boolean;
begin
	state := 'rejected';
	absorbed := '{}';
	if v_set->>'timezone' is not null and not timezone_is_known(v_set->>'timezone') then
		detail := 'timezone: there is no such zone';
		return;
	end if;
	if p_row ? 'organisation' then
		v_organisation := array(select distinct contact_root(p_tenant, i.contact_id)
			from identity i where i.tenant_id = p_tenant and i.kind = 'external'
			and i.value = p_row->>'organisation');
	elsif v_set->>'organisation' is not null then
		v_organisation := array[contact_root(p_tenant,
			(v_set->>'organisation')::uuid)];
	end if;
	if v_organisation is not null then
		if cardinality(v_organisation) <> 1 or v_organisation[1] is null then
			detail := 'organisation: there is no such contact (yet)';
			return;
		end if;
		v_set := v_set || jsonb_build_object('organisation', v_organisation[1]);
	end if;
	select * into v_found from contact_import_find(p_tenant, v_set->>'name', v_add);
	contact := contact_root(p_tenant, (p_row->>'known')::uuid);
	if contact is null and v_found.refusal is not null then
		detail := v_found.refusal;
		return;
	end if;
	contact := coalesce(contact, v_found.contact);
	if contact is null and not v_add @> '[{"normal": true}]' then
		detail := 'there is no contact with this id, and no external id, number or '
			'address to find one by';
		return;
	end if;
	if contact = v_organisation[1] then
		detail := 'organisation: must be another contact';
		return;
	end if;
	if contact is null then
		contact := (p_row->>'id')::uuid;
		insert into contact (tenant_id, id) values (p_tenant, contact);
		state := 'created';
	else
		state := 'unchanged';
	end if;
	select * into v_contact from contact c where c.tenant_id = p_tenant and c.id = contact;
	v_set := contact_import_changes(v_contact, v_set);
	if v_set->>'type' = contact_type(p_tenant, contact) then
		v_set := v_set - 'type';
	end if;
	if v_set <> '{}' then
		perform contact_set(p_tenant, contact, v_set);
	end if;
	v_missing := exists (
		select from jsonb_to_recordset(v_add)
			a(kind text, value text, trust smallint)
		where not exists (
			select from contact_members(p_tenant, contact) m(id),
			lateral (select from identity i where i.tenant_id = p_tenant
				and i.kind = a.kind and i.value = a.value
				and i.contact_id = m.id and i.trust >= a.trust offset 0) i
			offset 0));
	if v_missing or cardinality(array_remove(v_found.unnamed, contact)) > 0 then
		select a.absorbed into absorbed from contact_add_identities(p_tenant, p_actor,
			p_role, contact, v_add, true) a;
	end if;
	if state = 'unchanged'
		and (v_missing or v_set <> '{}' or cardinality(absorbed) > 0)
	then
		state := 'updated';
	end if;
end $$;

-- Makes the addresses' rows and gives those that were there already, locked; then nobody
-- else can give them a holder. An address without a row has none.
create function contact_import_old(p_tenant integer, a_kind text[], a_value text[],
	a_normal boolean[], out o_kind text[], out o_value text[]) language plpgsql as $$
begin
	with one as materialized (
		select distinct on (u.kind, u.value) u.kind, u.value, u.normal
		from unnest(a_kind, a_value, a_normal) u(kind, value, normal)
		order by u.kind, u.value, u.normal desc),
	made as (
		insert into address (tenant_id, kind, value, normal)
		select p_tenant, o.kind, o.value, o.normal from one o
		order by o.kind, o.value
		on conflict do nothing
		returning kind, value)
	select array_agg(o.kind order by o.kind, o.value),
		array_agg(o.value order by o.kind, o.value)
	into o_kind, o_value
	from (select kind, value from one except select kind, value from made) o;
	perform 1 from unnest(o_kind, o_value) u(kind, value) cross join lateral (
		select from address a where a.tenant_id = p_tenant and a.kind = u.kind
			and a.value = u.value offset 0 for no key update) l;
end $$;

-- Locks contacts and all that is merged into the same, in the order of ids.
create function contact_import_roots_lock(p_tenant integer, p_contacts uuid[]) returns void
language plpgsql as $$
declare
	v_roots uuid[] := array(select distinct coalesce(c.merged_into, c.id)
		from unnest(p_contacts) u(id) cross join lateral (
			select x.id, x.merged_into from contact x
			where x.tenant_id = p_tenant and x.id = u.id offset 0) c);
begin
	perform 1 from (
			select r.id from unnest(v_roots) r(id)
			union all
			select m.id from contact m
			where m.tenant_id = p_tenant and m.merged_into = any (v_roots)
			order by id) x
		cross join lateral (select from contact c where c.tenant_id = p_tenant
			and c.id = x.id offset 0 for no key update) l;
end $$;

-- The rows p_fresh of a batch are new contacts: all of them at once.
create function contact_import_new(p_tenant integer, p_actor text, p_rows jsonb,
	p_fresh integer[], a_n integer[], a_kind text[], a_value text[], a_trust smallint[])
returns void language plpgsql as $$
declare
	v_ids uuid[];
begin
	if cardinality(p_fresh) = 0 then
		return;
	end if;
	v_ids := array(select (r.o->>'id')::uuid
		from jsonb_array_elements(p_rows) with ordinality r(o, n) order by r.n);
	insert into contact (tenant_id, id, name, type, roles, language, timezone, vip,
		attributes)
	select p_tenant, v_ids[r.n], r.s->>'name', coalesce(r.s->>'type', 'person'),
		case when r.s ? 'roles'
			then array(select jsonb_array_elements_text(r.s->'roles'))
			else '{}' end,
		r.s->>'language', r.s->>'timezone', coalesce((r.s->>'vip')::boolean, false),
		case when r.s ? 'attributes'
			then jsonb_strip_nulls_top(r.s->'attributes') else '{}' end
	from (select x.n, x.o->'set' as s
		from jsonb_array_elements(p_rows) with ordinality x(o, n)
		join unnest(p_fresh) f(n) on f.n = x.n) r;
	insert into identity (tenant_id, kind, value, contact_id, trust, source)
	select p_tenant, a.kind, a.value, v_ids[a.n], a.trust, p_actor
	from unnest(a_n, a_kind, a_value, a_trust) a(n, kind, value, trust)
	join unnest(p_fresh) f(n) on f.n = a.n;
end $$;

create function jsonb_strip_nulls_top(p jsonb) returns jsonb
language sql immutable parallel safe as $$
	select case when jsonb_path_exists(p, '$.* ? (@ == null)')
		then attributes_add('{}', p) else p end
$$;

-- Rows that mean one contact each, which no other row of the batch means, and bring no new
-- address: what they change is changed at once. m_state: 'unchanged' or 'updated'. h_*: who
-- holds the rows' addresses. Rows about whom more is to be asked are not among the answers.
create function contact_import_same(p_tenant integer, p_rows jsonb, p_zones text[],
	a_n integer[], h_n integer[], h_k bigint[], h_root uuid[], h_counts boolean[],
	h_enough boolean[], out m_n integer[], out m_state text[], out m_contact uuid[])
language plpgsql as $$
begin
	with held as materialized (
		select h.n, h.k, h.root, h.counts, h.enough
		from unnest(h_n, h_k, h_root, h_counts, h_enough) h(n, k, root, counts, enough)),
	asked as materialized (
		select r.n::integer as n, r.o->'set' as s,
			contact_root(p_tenant, (r.o->>'known')::uuid) as known
		from jsonb_array_elements(p_rows) with ordinality r(o, n)
		where not r.o ? 'organisation'),
	meant as (
		select root, count(distinct n) as n
		from (select n, root from held union all select n, known from asked
			where known is not null) x group by root),
	holds as (
		select n, count(distinct root) as roots, (array_agg(root))[1] as root,
			bool_or(counts) as counts,
			count(distinct k) filter (where enough) as enough
		from held group by n),
	given as (select a.n, count(*) as addresses from unnest(a_n) a(n) group by a.n),
	one as materialized (
		select h.n, h.root
		from holds h join given g on g.n = h.n and g.addresses = h.enough
		join meant m on m.root = h.root and m.n = 1
		where h.roots = 1 and h.counts),
	found as materialized (
		select o.n, o.root, a.s,
			(not a.s ? 'name' or a.s->>'name' is not distinct from c.name)
			and (not a.s ? 'type' or a.s->>'type' = c.type
				or a.s->>'type' = contact_type(p_tenant, c.id))
			and (not a.s ? 'roles' or a.s->'roles' = to_jsonb(c.roles))
			and (not a.s ? 'language'
				or a.s->>'language' is not distinct from c.language)
			and (not a.s ? 'timezone'
				or a.s->>'timezone' is not distinct from c.timezone)
			and (not a.s ? 'vip' or (a.s->>'vip')::boolean = c.vip)
			and (not a.s ? 'attributes'
				or c.attributes || (a.s->'attributes') = c.attributes) as same
		from one o
		join asked a on a.n = o.n and coalesce(a.known, o.root) = o.root
		join lateral (select * from contact x where x.tenant_id = p_tenant
			and x.id = o.root offset 0) c on true
		where c.name is not null
			and (a.s->>'timezone' is null or a.s->>'timezone' = c.timezone
				or a.s->>'timezone' = any (p_zones))
			and (not a.s ? 'organisation'
				or a.s->>'organisation' is not distinct from c.organisation::text)
			and not jsonb_path_exists(a.s, '$.attributes.* ? (@ == null)')),
	changed as (
		update contact c set
			name = case when f.s ? 'name' then f.s->>'name' else c.name end,
			type = coalesce(f.s->>'type', c.type),
			roles = case when f.s ? 'roles' then array(
				select jsonb_array_elements_text(f.s->'roles')) else c.roles end,
			language = case when f.s ? 'language' then f.s->>'language'
				else c.language end,
			timezone = case when f.s ? 'timezone' then f.s->>'timezone'
				else c.timezone end,
			vip = case when f.s ? 'vip' then (f.s->>'vip')::boolean else c.vip end,
			attributes = case when f.s ? 'attributes'
				then c.attributes || (f.s->'attributes') else c.attributes end,
			updated_at = now()
		from found f
		where not f.same and c.tenant_id = p_tenant and c.id = f.root)
	select array_agg(f.n), array_agg(case when f.same then 'unchanged' else 'updated' end),
		array_agg(f.root)
	into m_n, m_state, m_contact from found f;
end $$;

-- As in 023-lookup.sql; rows about whom there is nothing to decide are done all at once.
create or replace function contact_import(p_tenant integer, p_actor text, p_role text,
	p_rows jsonb, p_dry boolean, p_objects boolean)
returns table (n integer, state text, detail text, object text) language plpgsql as $$
#variable_conflict use_column
declare
	v_n integer[];
	v_kind text[];
	v_value text[];
	v_normal boolean[];
	v_trust smallint[];
	v_old record;
	v_held record;
	v_knowns uuid[];
	v_zones text[];
	v_fresh integer[];
	v_same record;
	v_rest jsonb := '[]';
	v_row record;
	v_one record;
begin
	begin
		select array_agg(a.n), array_agg(a.kind), array_agg(a.value),
			array_agg(a.normal), array_agg(a.trust)
		into v_n, v_kind, v_value, v_normal, v_trust
		from contact_import_addresses(p_rows) a;
		select * into v_old
		from contact_import_old(p_tenant, v_kind, v_value, v_normal);
		v_knowns := array(select (r->>'known')::uuid from jsonb_array_elements(p_rows) r
			where r ? 'known');
		if v_old.o_kind is not null or cardinality(v_knowns) > 0 then
			perform contact_import_roots_lock(p_tenant, v_knowns || array(
				select i.contact_id
				from unnest(v_old.o_kind, v_old.o_value) o(kind, value)
				cross join lateral (select x.contact_id from identity x
					where x.tenant_id = p_tenant and x.kind = o.kind
						and x.value = o.value offset 0) i));
		end if;
		select coalesce(array_agg(h.n), '{}') as n, array_agg(h.k) as k,
			array_agg(h.root) as root, array_agg(h.counts) as counts,
			array_agg(h.enough) as enough
		into v_held
		from (select a.n, a.k, c.root, a.normal
				and (a.kind = 'external' or i.trust > 0) as counts,
				i.trust >= a.trust as enough
			from unnest(v_old.o_kind, v_old.o_value) o(kind, value)
			join unnest(v_n, v_kind, v_value, v_normal, v_trust) with ordinality
				a(n, kind, value, normal, trust, k)
				on a.kind = o.kind and a.value = o.value
			cross join lateral (select x.contact_id, x.trust from identity x
				where x.tenant_id = p_tenant and x.kind = a.kind
					and x.value = a.value offset 0) i
			cross join lateral (select coalesce(x.merged_into, x.id) as root
				from contact x where x.tenant_id = p_tenant
					and x.id = i.contact_id offset 0) c) h;
		v_zones := array(select z from (select distinct r->'set'->>'timezone' as z
				from jsonb_array_elements(p_rows) r) d
			where z is not null and timezone_is_known(z));
		v_fresh := array(
			select r.n::integer
			from jsonb_array_elements(p_rows) with ordinality r(o, n)
			left join (select distinct x from unnest(v_held.n || array(
				select unnest(array_agg(a.n))
				from unnest(v_n, v_kind, v_value) a(n, kind, value)
				group by a.kind, a.value having count(*) > 1)) x) d
				on d.x = r.n
			where d.x is null and not r.o ? 'organisation' and not r.o ? 'known'
				and r.o->'set'->>'organisation' is null
				and (r.o->'set'->>'timezone' is null
					or r.o->'set'->>'timezone' = any (v_zones)));
		perform contact_import_new(p_tenant, p_actor, p_rows, v_fresh, v_n, v_kind,
			v_value, v_trust);
		select null::integer[] as m_n, null::text[] as m_state, null::uuid[] as m_contact
		into v_same;
		if cardinality(v_held.n) > 0 then
			select * into v_same from contact_import_same(p_tenant, p_rows, v_zones,
				v_n, v_held.n, v_held.k, v_held.root, v_held.counts, v_held.enough);
		end if;
		if cardinality(v_fresh) + coalesce(cardinality(v_same.m_n), 0)
			< jsonb_array_length(p_rows) then
			for v_row in
				select r.o, r.n from jsonb_array_elements(p_rows)
					with ordinality r(o, n)
				where r.n <> all (v_fresh)
					and r.n <> all (coalesce(v_same.m_n, '{}'))
				order by r.n
			loop
				select * into v_one
				from contact_import_one(p_tenant, p_actor, p_role, v_row.o);
				v_rest := v_rest || (to_jsonb(v_one)
					|| jsonb_build_object('n', v_row.n));
			end loop;
		end if;
		if p_dry then
			raise exception using errcode = 'ICDRY';
		end if;
	exception when sqlstate 'ICDRY' then
		null;
	end;
	return query select v.n, v.state, v.detail,
		case when p_objects and not p_dry and v.state in ('created', 'updated')
			then contact_json(p_tenant, v.contact, v.contact,
				coalesce(v.absorbed, '{}')) end
		from (select f as n, 'created' as state, null as detail,
				(p_rows->(f - 1)->>'id')::uuid as contact,
				null::uuid[] as absorbed
			from unnest(v_fresh) f
			union all
			select s.n, s.state, null, s.contact, null
			from unnest(v_same.m_n, v_same.m_state, v_same.m_contact)
				s(n, state, contact)
			union all
			select r.n, r.state, r.detail, r.contact, r.absorbed
			from jsonb_to_recordset(v_rest)
				r(n integer, state text, detail text, contact uuid, absorbed uuid[])
			) v
		order by v.n;
end $$;
drop function contact_import_fresh(integer, text, jsonb);
drop function contact_import_fresh_base(integer, text, jsonb);
drop function contact_import_types(integer, jsonb, integer[]);

-- How far an import has come, and what it rejected: written with what it stored. line: all
-- up to it is settled. A row stays for 30 days.
create table import_run (
	tenant_id integer not null references tenant,
	id uuid not null,
	format text not null,
	actor text not null,
	state text not null default 'running' check (state in ('running', 'done', 'failed')),
	detail text not null default '',
	line bigint not null default 0,
	created bigint not null default 0,
	updated bigint not null default 0,
	unchanged bigint not null default 0,
	rejected bigint not null default 0,
	began_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	primary key (tenant_id, id)
) with (fillfactor = 50);
create table import_rejected (
	tenant_id integer not null,
	import_id uuid not null,
	line bigint not null,
	lines integer not null,
	reason text not null,
	primary key (tenant_id, import_id, line),
	foreign key (tenant_id, import_id) references import_run on delete cascade
);

-- p_after: the line it goes on after; 0 = from the beginning, whatever there was.
create function import_run_begin(p_tenant integer, p_id uuid, p_format text, p_actor text,
	p_after bigint) returns void language plpgsql as $$
begin
	delete from import_run where tenant_id = p_tenant
		and (updated_at < now() - interval '30 days' or (id = p_id and p_after = 0));
	insert into import_run (tenant_id, id, format, actor, line)
	values (p_tenant, p_id, p_format, p_actor, p_after)
	on conflict (tenant_id, id) do update
	set state = 'running', detail = '', updated_at = now();
end $$;

-- Lines that were no rows at all, and how far that is. At most a million are kept.
create function import_run_reject(p_tenant integer, p_id uuid, p_line bigint,
	a_line bigint[], a_lines integer[], a_reason text[]) returns void
language plpgsql as $$
declare
	v_new bigint;
begin
	insert into import_rejected (tenant_id, import_id, line, lines, reason)
	select p_tenant, p_id, u.line, u.lines, u.reason
	from unnest(a_line, a_lines, a_reason) u(line, lines, reason)
	where (select rejected from import_run where tenant_id = p_tenant and id = p_id)
		< 1000000
	on conflict do nothing;
	get diagnostics v_new = row_count;
	update import_run set rejected = rejected + v_new,
		line = greatest(line, p_line), updated_at = now()
	where tenant_id = p_tenant and id = p_id;
end $$;

create function import_run_json(r import_run, p_runs boolean) returns json
language sql stable as $$
	select json_build_object('id', r.id, 'format', r.format, 'state',
		case when r.state = 'running' and not p_runs then 'interrupted'
			else r.state end,
		'detail', r.detail, 'line', r.line, 'created', r.created, 'updated', r.updated,
		'unchanged', r.unchanged, 'rejected', r.rejected, 'actor', r.actor,
		'began_at', time_text(r.began_at), 'updated_at', time_text(r.updated_at))
$$;
