-- What contacts want: preferences, the consent ledger, addresses nobody may write to.

-- The ledger (consent, consent_seal) is only ever added to. What an entry says, with a
-- salt, is a row of its own (consent_detail) that erasure takes away; the entry keeps the
-- commitment sha256(salt || payload). One daemon seals what is new, several times a second:
-- a seal's hash covers the seal before it and its entries in order, so that none can be
-- changed, removed, put in or moved unseen by whoever checks (people/consent_verify.c,
-- which counts on nothing here but the tables). Hashes are PostgreSQL's own sha256: an
-- entry, its commitment and the state that follows from it are one statement and one
-- transaction, with no extension to install.
--
-- How wishes stand is in wish and preference: one row per contact as it was before any
-- merge. A merge moves nothing; the wishes of a merged contact are the strictest of its
-- members (wishes_of). A denial is written for every member, so it outlives an unmerge. An
-- allowance said while contacts are merged counts while those merges last (merges), and
-- then for none of them; one for an address belongs to the member that has the address.
--
-- OFFSET 0, here as in 023-lookup.sql: one look into an index per row, also while the
-- planner believes the tables to be empty.

-- ---- Small things -------------------------------------------------------------------

-- Keys for what is signed with HMAC-SHA256 (RFC 2104) and is worth nothing with a copy of
-- the database (tokens of the double opt-in): the two pads are xored once, when the key is
-- made.
create table tenant_secret (
	tenant_id integer not null references tenant,
	name text not null,
	inner_pad bytea not null,
	outer_pad bytea not null,
	primary key (tenant_id, name)
);

create function tenant_secret_ensure(p_tenant integer, p_name text) returns void
language plpgsql as $$
declare
	v_key bytea := '';
	v_inner bytea;
	v_outer bytea;
begin
	if exists (select from tenant_secret where tenant_id = p_tenant and name = p_name) then
		return;
	end if;
	for n in 1..2 loop
		v_key := v_key || sha256(uuid_send(gen_random_uuid())
			|| uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
	end loop;
	v_inner := v_key;
	v_outer := v_key;
	for n in 0..63 loop
		v_inner := set_byte(v_inner, n, get_byte(v_key, n) # 54);
		v_outer := set_byte(v_outer, n, get_byte(v_key, n) # 92);
	end loop;
	insert into tenant_secret values (p_tenant, p_name, v_inner, v_outer)
	on conflict do nothing;
end $$;

-- Null if there is no such key (yet).
create function keyed_hash(p_tenant integer, p_name text, p_text text) returns bytea
language sql stable as $$
	select sha256(outer_pad || sha256(inner_pad || convert_to(p_text, 'UTF8')))
	from tenant_secret where tenant_id = p_tenant and name = p_name
$$;

-- HMAC-SHA256 of an address, as "#" and 64 digits. This key is the daemon's ([daemon]
-- erasure_key or state_dir), which gives both padded forms of it to each of its sessions: it
-- is in no table and no dump, so whoever has one cannot try numbers. A session without it
-- must not believe that nobody was erased.
create function address_hash(p_tenant integer, p_kind text, p_value text) returns text
language plpgsql stable as $$
declare
	v_pads text[] := string_to_array(current_setting('interactd.erasure_key', true), '.');
begin
	if cardinality(v_pads) is distinct from 2 then
		raise exception 'this session has no key for the hashes of erased addresses'
			using hint = 'the daemon''s sessions have it: interactd.erasure_key';
	end if;
	return '#' || encode(sha256(decode(v_pads[2], 'hex') || sha256(decode(v_pads[1], 'hex')
		|| convert_to(p_tenant || '/' || p_kind || '/' || p_value, 'UTF8'))), 'hex');
end $$;

-- {kind, value} of an address; null for ''.
create function identity_json(p_kind text, p_value text) returns jsonb
language sql immutable parallel safe as $$
	select case when p_kind <> '' then
		jsonb_build_object('kind', p_kind, 'value', p_value) end
$$;

-- Locks a contact with all it is merged with, in the order of ids; root null: no such one.
create function contact_lock_members(p_tenant integer, p_id uuid,
	out root uuid, out members uuid[]) language plpgsql as $$
begin
	loop
		root := contact_root(p_tenant, p_id);
		members := array(select m from contact_members(p_tenant, root) m order by m);
		perform 1 from contact where tenant_id = p_tenant and id = any (members)
		order by id for no key update;
		-- a merge may have come before us
		exit when root is null or (root = contact_root(p_tenant, p_id)
			and members = array(select m from contact_members(p_tenant, root) m
				order by m));
	end loop;
end $$;

-- ---- The ledger ---------------------------------------------------------------------

create table consent (
	tenant_id integer not null,
	seq bigint generated always as identity,
	id uuid not null,
	commitment bytea not null,
	at timestamptz not null,
	primary key (tenant_id, seq)
);
create unique index consent_id on consent (tenant_id, id);

-- payload: the very text that was hashed. act: the entries of one decision, which are as
-- many as the contact has members. No foreign key to consent: checking one locks its row,
-- and that needs a right which nobody has.
create table consent_detail (
	tenant_id integer not null,
	seq bigint not null,
	contact_id uuid,
	act uuid not null,
	salt bytea not null,
	payload text not null,
	primary key (tenant_id, seq),
	foreign key (tenant_id, contact_id) references contact
);
create index consent_detail_contact on consent_detail (contact_id, tenant_id, seq);
create index consent_detail_act on consent_detail (act, tenant_id);

-- entries and leaves in the same order; a leaf: consent_leaf.
create table consent_seal (
	tenant_id integer not null,
	number bigint not null check (number > 0),
	sealed_at timestamptz not null,
	entries bigint[] not null,
	leaves bytea[] not null,
	hash bytea not null,
	primary key (tenant_id, number)
);

create table consent_unsealed (
	tenant_id integer not null,
	seq bigint not null,
	primary key (tenant_id, seq)
);

-- Double opt-in: entries that may still be confirmed.
create table consent_pending (
	tenant_id integer not null,
	seq bigint not null,
	contact_id uuid not null,
	expires_at timestamptz not null,
	primary key (tenant_id, seq),
	foreign key (tenant_id, contact_id) references contact
);

create function consent_is_append_only() returns trigger language plpgsql as
$$ begin raise exception 'the consent ledger can only be added to'; end $$;
create trigger consent_is_append_only before update or delete or truncate on consent
	for each statement execute function consent_is_append_only();
create trigger consent_seal_is_append_only before update or delete or truncate
	on consent_seal for each statement execute function consent_is_append_only();
-- What an entry says can go (erasure), but not change.
create trigger consent_detail_is_kept before update or truncate on consent_detail
	for each statement execute function consent_is_append_only();
revoke update, delete, truncate on consent, consent_seal from current_user;
revoke update, truncate on consent_detail from current_user;

create function consent_leaf(p_seq bigint, p_id uuid, p_at timestamptz, p_commitment bytea)
returns bytea language sql stable parallel safe as $$
	select sha256(int8send(p_seq) || uuid_send(p_id) || int8send(time_to_us(p_at))
		|| p_commitment)
$$;

create function consent_seal_hash(p_before bytea, p_number bigint, p_at timestamptz,
	p_leaves bytea[]) returns bytea language sql stable parallel safe as $$
	select sha256(coalesce(p_before, '') || int8send(p_number)
		|| int8send(time_to_us(p_at)) || (select string_agg(leaf, '' order by n)
			from unnest(p_leaves) with ordinality u(leaf, n)))
$$;

-- Seals what is new, at most p_max entries of a tenant; how many were.
create function consent_seal_due(p_max integer) returns integer language plpgsql as $$
declare
	v_tenant integer;
	v_entries bigint[];
	v_leaves bytea[];
	v_last record;
	v_at timestamptz;
	v_sealed integer := 0;
begin
	if not exists (select from consent_unsealed) then
		return 0;
	end if;
	perform pg_advisory_xact_lock(hashtextextended('interactd consent seal', 0));
	for v_tenant in select distinct tenant_id from consent_unsealed loop
		with taken as (
			delete from consent_unsealed u using (
				select seq from consent_unsealed where tenant_id = v_tenant
				order by seq limit p_max) due
			where u.tenant_id = v_tenant and u.seq = due.seq
			returning u.seq)
		select array_agg(c.seq order by c.seq),
			array_agg(consent_leaf(c.seq, c.id, c.at, c.commitment) order by c.seq)
		into v_entries, v_leaves
		from taken t cross join lateral (select * from consent
			where tenant_id = v_tenant and seq = t.seq offset 0) c;
		continue when v_entries is null;
		select number, hash into v_last from consent_seal
		where tenant_id = v_tenant order by number desc limit 1;
		v_at := clock_timestamp();
		insert into consent_seal (tenant_id, number, sealed_at, entries, leaves, hash)
		values (v_tenant, coalesce(v_last.number, 0) + 1, v_at, v_entries, v_leaves,
			consent_seal_hash(v_last.hash, coalesce(v_last.number, 0) + 1, v_at,
				v_leaves));
		v_sealed := v_sealed + cardinality(v_entries);
	end loop;
	return v_sealed;
end $$;

-- Adds an entry. p_says: what is recorded, but for the members added here.
create function consent_append(p_tenant integer, p_actor text, p_role text, p_contact uuid,
	p_act uuid, p_says jsonb) returns bigint language plpgsql as $$
declare
	v_id uuid := uuid_now();
	v_at timestamptz := clock_timestamp();
	v_salt bytea := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
	v_payload text;
	v_seq bigint;
begin
	v_payload := (p_says || jsonb_build_object('entry', v_id, 'contact', p_contact,
		'act', p_act, 'actor', p_actor, 'at', time_text(v_at)))::text;
	insert into consent (tenant_id, id, commitment, at)
	values (p_tenant, v_id, sha256(v_salt || convert_to(v_payload, 'UTF8')), v_at)
	returning seq into v_seq;
	insert into consent_detail (tenant_id, seq, contact_id, act, salt, payload)
	values (p_tenant, v_seq, p_contact, p_act, v_salt, v_payload);
	insert into consent_unsealed values (p_tenant, v_seq);
	perform audit_add(p_tenant, p_actor, p_role, 'consent.recorded', 'contact',
		coalesce(p_contact::text, ''), array[v_id::text]);
	return v_seq;
end $$;

-- An entry as the API shows it, of the contact that it is now part of.
create function consent_json(p_tenant integer, p_seq bigint) returns json
language sql stable as $$
	select json_build_object('id', c.id, 'at', time_text(c.at),
		'contact', contact_root(p_tenant, d.contact_id),
		'decision', p->>'decision', 'state', p->>'state', 'kind', p->'kind',
		'purpose', p->'purpose', 'identity', p->'identity',
		'do_not_contact', coalesce((p->>'do_not_contact')::boolean, false),
		'source', p->>'source', 'evidence', coalesce(p->'evidence', '{}'),
		'actor', p->>'actor', 'confirms', p->'confirms',
		'while_merged', coalesce((p->>'while_merged')::boolean, false),
		'sealed', not exists (select from consent_unsealed u
			where u.tenant_id = p_tenant and u.seq = p_seq))
	from consent c join consent_detail d on d.tenant_id = c.tenant_id and d.seq = c.seq,
		cast(d.payload as jsonb) p
	where c.tenant_id = p_tenant and c.seq = p_seq
$$;

-- ---- How wishes stand ---------------------------------------------------------------

-- own: what this contact said; null: nothing. merges: allowed while all of these last.
-- kind and purpose '*': do-not-contact (denied), or that it was taken back. address_*: '',
-- or the one address that it is about. *_seq: the entries that say so.
create table wish (
	tenant_id integer not null,
	contact_id uuid not null,
	kind text not null,
	purpose text not null,
	address_kind text not null default '',
	address_value text not null default '',
	own text check (own in ('allowed', 'denied')),
	own_seq bigint,
	merges bigint[],
	merges_seq bigint,
	primary key (tenant_id, contact_id, kind, purpose, address_kind, address_value),
	foreign key (tenant_id, contact_id) references contact
);
create index wish_address on wish (address_value, address_kind, tenant_id)
	where address_value <> '';

-- There is a row for every contact that has any wish: who has none is seen by one look.
-- merged_quiet: hours said while merged: instead of the own ones while these merges last,
-- beside them afterwards.
create table preference (
	tenant_id integer not null,
	contact_id uuid not null,
	preferred text[] not null default '{}',
	quiet_hours jsonb not null default '[]',
	merged_quiet jsonb,
	merges bigint[],
	source text not null default '',
	updated_at timestamptz not null default now(),
	primary key (tenant_id, contact_id),
	foreign key (tenant_id, contact_id) references contact
);

-- One that is not there any more (somebody of it was erased) does not last.
create function merges_last(p_tenant integer, p_merges bigint[]) returns boolean
language sql stable as $$
	select p_merges is not null and not exists (select from unnest(p_merges) u(id)
		where not exists (select from contact_merge m
			where m.tenant_id = p_tenant and m.id = u.id and m.undone_at is null))
$$;

-- What each of these contacts says now.
create function wishes_said(p_tenant integer, p_members uuid[])
returns table (contact_id uuid, kind text, purpose text, address_kind text,
	address_value text, says text) language sql stable as $$
	select w.contact_id, w.kind, w.purpose, w.address_kind, w.address_value, s.says
	from wish w, lateral (select case when w.merges is not null
			and merges_last(p_tenant, w.merges) then 'allowed' else w.own end) s(says)
	where w.tenant_id = p_tenant and w.contact_id = any (p_members) and s.says is not null
$$;

-- The strictest of them per kind, purpose and address.
create function wishes_of(p_tenant integer, p_members uuid[])
returns table (kind text, purpose text, address_kind text, address_value text, says text)
language sql stable as $$
	select kind, purpose, address_kind, address_value,
		case when bool_or(says = 'denied') then 'denied' else 'allowed' end
	from wishes_said(p_tenant, p_members) group by 1, 2, 3, 4
$$;

create function wishes_list(p_tenant integer, p_members uuid[], p_says text, p_max integer)
returns jsonb language sql stable as $$
	select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('kind', kind,
		'purpose', purpose, 'identity', identity_json(address_kind, address_value)))
		order by kind, purpose, address_kind, address_value), '[]')
	from (select * from wishes_of(p_tenant, p_members)
		where says = p_says and kind <> '*'
		order by kind, purpose, address_kind, address_value limit p_max) w
$$;

create function wishes_quiet(p_tenant integer, p_members uuid[]) returns jsonb
language sql stable as $$
	select coalesce(jsonb_agg(distinct q), '[]')
	from preference p, lateral (
		select jsonb_array_elements(p.quiet_hours) as q
		where p.merges is null or not merges_last(p_tenant, p.merges)
		union all
		select jsonb_array_elements(p.merged_quiet)) h
	where p.tenant_id = p_tenant and p.contact_id = any (p_members)
$$;

-- The wishes of a contact with all its members: {preferred, denied, allowed, quiet_hours,
-- do_not_contact}.
create function wishes_json(p_tenant integer, p_root uuid) returns jsonb
language plpgsql stable as $$
declare
	v_members uuid[] := array(select contact_members(p_tenant, p_root));
begin
	if not exists (select from preference
		where tenant_id = p_tenant and contact_id = any (v_members)) then
		return '{"preferred": [], "denied": [], "allowed": [], "quiet_hours": [],
			"do_not_contact": false}';
	end if;
	return jsonb_build_object(
		'preferred', coalesce((select to_jsonb(preferred) from preference
			where tenant_id = p_tenant and contact_id = any (v_members)
				and preferred <> '{}'
			order by contact_id <> p_root, updated_at desc, contact_id limit 1),
			'[]'),
		'denied', wishes_list(p_tenant, v_members, 'denied', 1000),
		'allowed', wishes_list(p_tenant, v_members, 'allowed', 1000),
		'quiet_hours', wishes_quiet(p_tenant, v_members),
		'do_not_contact', exists (select from wishes_of(p_tenant, v_members)
			where kind = '*' and says = 'denied'));
end $$;

-- GET …/preferences.
create function preferences_json(p_tenant integer, p_root uuid, p_asked uuid) returns text
language sql stable as $$
	select (jsonb_build_object('contact', p_root) || wishes_json(p_tenant, p_root)
		|| coalesce((select jsonb_build_object('source', source,
				'updated_at', time_text(updated_at))
			from preference where tenant_id = p_tenant
				and contact_id in (select contact_members(p_tenant, p_root))
			order by updated_at desc limit 1),
			'{"source": null, "updated_at": null}')
		|| case when p_asked <> p_root
			then jsonb_build_object('merged_from', p_asked) else '{}' end)::text
$$;

-- What a screen pop shows of merged or shared contacts: as `card` for a single one.
create function wishes_card(p_tenant integer, p_root uuid, out preferred text,
	out denied text, out do_not_contact boolean) language plpgsql stable as $$
declare
	v_wishes jsonb := wishes_json(p_tenant, p_root);
begin
	preferred := v_wishes->'preferred';
	denied := (select coalesce(jsonb_agg(d order by n), '[]')
		from jsonb_array_elements(v_wishes->'denied') with ordinality u(d, n)
		where n <= 50);
	do_not_contact := (v_wishes->>'do_not_contact')::boolean;
end $$;

-- ---- Saying something ---------------------------------------------------------------

-- That there is a row; it says who spoke last.
create function preference_touch(p_tenant integer, p_members uuid[], p_source text)
returns void language sql as $$
	insert into preference as p (tenant_id, contact_id, source)
	select p_tenant, m, p_source from unnest(p_members) m
	on conflict (tenant_id, contact_id)
		do update set source = excluded.source, updated_at = now()
$$;

-- A denial, for every member. p_at: {kind, purpose, address_kind, address_value}; p_always:
-- also if nothing changes by it. Gives an entry, null if there was nothing to record.
create function consent_deny(p_tenant integer, p_actor text, p_role text, p_members uuid[],
	p_at jsonb, p_says jsonb, p_always boolean) returns bigint language plpgsql as $$
declare
	v_act uuid := uuid_now();
	v_member uuid;
	v_seq bigint;
begin
	for v_member in
		select m from unnest(p_members) m
		where p_always or not exists (select from wish w
			where w.tenant_id = p_tenant and w.contact_id = m
				and w.kind = p_at->>'kind' and w.purpose = p_at->>'purpose'
				and w.address_kind = p_at->>'address_kind'
				and w.address_value = p_at->>'address_value'
				and w.own = 'denied' and w.merges is null offset 0)
	loop
		v_seq := consent_append(p_tenant, p_actor, p_role, v_member, v_act, p_says);
		insert into wish (tenant_id, contact_id, kind, purpose, address_kind,
			address_value, own, own_seq)
		values (p_tenant, v_member, p_at->>'kind', p_at->>'purpose',
			p_at->>'address_kind', p_at->>'address_value', 'denied', v_seq)
		on conflict (tenant_id, contact_id, kind, purpose, address_kind, address_value)
			do update set own = 'denied', own_seq = excluded.own_seq,
				merges = null, merges_seq = null;
	end loop;
	return v_seq;
end $$;

-- An allowance. Of one contact it is its own; of several merged ones that of the members
-- with the address, or of all of them for as long as they are merged.
create function consent_allow(p_tenant integer, p_actor text, p_role text, p_root uuid,
	p_members uuid[], p_at jsonb, p_says jsonb) returns bigint language plpgsql as $$
declare
	v_act uuid := uuid_now();
	v_owners uuid[] := p_members;
	v_merges bigint[];
	v_member uuid;
	v_seq bigint;
begin
	if cardinality(p_members) > 1 then
		v_owners := array(select i.contact_id from identity i
			where i.tenant_id = p_tenant and i.kind = p_at->>'address_kind'
				and i.value = p_at->>'address_value'
				and i.contact_id = any (p_members));
		v_merges := array(select m.id from contact_merge m
			where m.tenant_id = p_tenant and m.absorbed = any (p_members)
				and m.undone_at is null order by m.id);
	end if;
	foreach v_member in array v_owners loop
		v_seq := consent_append(p_tenant, p_actor, p_role, v_member, v_act, p_says);
		insert into wish (tenant_id, contact_id, kind, purpose, address_kind,
			address_value, own, own_seq)
		values (p_tenant, v_member, p_at->>'kind', p_at->>'purpose',
			p_at->>'address_kind', p_at->>'address_value', 'allowed', v_seq)
		on conflict (tenant_id, contact_id, kind, purpose, address_kind, address_value)
			do update set own = 'allowed', own_seq = excluded.own_seq,
				merges = null, merges_seq = null;
	end loop;
	if v_merges is null then
		return v_seq;
	end if;
	if v_seq is null then
		v_seq := consent_append(p_tenant, p_actor, p_role, p_root, v_act,
			p_says || '{"while_merged": true}');
	end if;
	insert into wish (tenant_id, contact_id, kind, purpose, address_kind, address_value,
		merges, merges_seq)
	select p_tenant, m, p_at->>'kind', p_at->>'purpose', p_at->>'address_kind',
		p_at->>'address_value', v_merges, v_seq
	from unnest(p_members) m where m <> all (v_owners)
	on conflict (tenant_id, contact_id, kind, purpose, address_kind, address_value)
		do update set merges = excluded.merges, merges_seq = excluded.merges_seq;
	return v_seq;
end $$;

-- Whether a contact may allow something for an address: it must have it.
create function consent_is_theirs(p_tenant integer, p_members uuid[], p_at jsonb)
returns boolean language sql stable as $$
	select p_at->>'address_kind' = '' or exists (select from identity i
		where i.tenant_id = p_tenant and i.kind = p_at->>'address_kind'
			and i.value = p_at->>'address_value' and i.contact_id = any (p_members))
$$;

create function consent_event(p_tenant integer, p_seq bigint) returns jsonb
language sql stable as $$
	select jsonb_build_array(jsonb_build_array('consent.recorded',
		consent_json(p_tenant, p_seq)::text, null))
$$;

-- Keeps the events of one change for webhooks; p_events: [[type, object, changes], …], the
-- same that the daemon publishes afterwards, by their place.
create function wishes_events(p_tenant integer, p_id uuid, p_at bigint, p_events jsonb)
returns integer language plpgsql as $$
begin
	if p_id is null or coalesce(jsonb_array_length(p_events), 0) = 0 then
		return 0;
	end if;
	return (select events_keep(array_agg(p_tenant order by n),
			array_agg(event_nth(p_id, n::integer - 1) order by n),
			array_agg(e->>0 order by n), array_agg(p_at order by n),
			array_agg(e->>1 order by n), array_agg(e->>2 order by n))
		from jsonb_array_elements(p_events) with ordinality u(e, n));
end $$;

-- preferred and quiet hours as PUT gives them; true if anything changed.
create function preference_replace(p_tenant integer, p_root uuid, p_members uuid[],
	p_wishes jsonb) returns boolean language plpgsql as $$
declare
	v_now jsonb := wishes_json(p_tenant, p_root);
	v_quiet jsonb := (select coalesce(jsonb_agg(distinct q), '[]')
		from jsonb_array_elements(p_wishes->'quiet_hours') q);
	v_merges bigint[];
begin
	if v_now->'preferred' = p_wishes->'preferred' and v_now->'quiet_hours' = v_quiet then
		return false;
	end if;
	if cardinality(p_members) > 1 then
		v_merges := array(select m.id from contact_merge m
			where m.tenant_id = p_tenant and m.absorbed = any (p_members)
				and m.undone_at is null order by m.id);
	end if;
	perform preference_touch(p_tenant, p_members, '');
	update preference set
		preferred = array(select jsonb_array_elements_text(p_wishes->'preferred'))
	where tenant_id = p_tenant and contact_id = p_root;
	if v_now->'quiet_hours' <> v_quiet then
		update preference set
			quiet_hours = case when v_merges is null then v_quiet
				else quiet_hours end,
			merged_quiet = case when v_merges is not null then v_quiet end,
			merges = v_merges
		where tenant_id = p_tenant and contact_id = any (p_members);
	end if;
	return true;
end $$;

-- PUT …/preferences. p_wishes: {preferred, quiet_hours, denied, allowed, do_not_contact,
-- source, evidence}, checked by the daemon; denied and allowed are [{kind, purpose, address_kind,
-- address_value}]. state: 'ok', 'not_found', 'not_theirs' with json = the address.
create function preferences_put(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_wishes jsonb, p_fields text[], p_event uuid, p_event_at bigint, p_changes text,
	out state text, out json text, out events jsonb) language plpgsql as $$
declare
	c record;
	v_says jsonb := jsonb_build_object('source', p_wishes->>'source', 'state', 'confirmed',
		'evidence', coalesce(p_wishes->'evidence', '{}'));
	v_any jsonb := '{"kind": "*", "purpose": "*", "address_kind": "", "address_value": ""}';
	v_at jsonb;
	v_seq bigint;
	v_now jsonb;
	v_changed boolean;
begin
	events := '[]';
	select * into c from contact_lock_members(p_tenant, p_id);
	if c.root is null then
		state := 'not_found';
		return;
	end if;
	v_now := wishes_json(p_tenant, c.root);
	for v_at in select jsonb_array_elements(p_wishes->'denied') loop
		v_seq := consent_deny(p_tenant, p_actor, p_role, c.members, v_at, v_says
			|| jsonb_build_object('decision', 'denied', 'kind', v_at->'kind',
				'purpose', v_at->'purpose', 'identity', identity_json(
				v_at->>'address_kind', v_at->>'address_value')), false);
		events := events || case when v_seq is null then '[]'
			else consent_event(p_tenant, v_seq) end;
	end loop;
	for v_at in select jsonb_array_elements(p_wishes->'allowed') loop
		-- a client that sends back what it read says nothing new
		continue when exists (select from wishes_of(p_tenant, c.members) w
			where w.kind = v_at->>'kind' and w.purpose = v_at->>'purpose'
				and w.address_kind = v_at->>'address_kind'
				and w.address_value = v_at->>'address_value'
				and w.says = 'allowed');
		if not consent_is_theirs(p_tenant, c.members, v_at) then
			raise exception using errcode = 'IC422',
				message = (v_at->>'address_kind') || ':' || (v_at->>'address_value');
		end if;
		v_seq := consent_allow(p_tenant, p_actor, p_role, c.root, c.members, v_at,
			v_says || jsonb_build_object('decision', 'allowed',
				'kind', v_at->'kind', 'purpose', v_at->'purpose',
				'identity', identity_json(v_at->>'address_kind',
				v_at->>'address_value')));
		events := events || consent_event(p_tenant, v_seq);
	end loop;
	v_seq := null;
	if (p_wishes->>'do_not_contact')::boolean then
		v_seq := consent_deny(p_tenant, p_actor, p_role, c.members, v_any,
			v_says || '{"decision": "denied", "do_not_contact": true}', false);
	elsif not (p_wishes->>'do_not_contact')::boolean
		and (v_now->>'do_not_contact')::boolean then
		v_seq := consent_allow(p_tenant, p_actor, p_role, c.root, c.members, v_any,
			v_says || '{"decision": "allowed", "do_not_contact": false}');
	end if;
	events := events || case when v_seq is null then '[]'
		else consent_event(p_tenant, v_seq) end;
	v_changed := preference_replace(p_tenant, c.root, c.members, p_wishes);
	if v_changed or events <> '[]' then
		perform preference_touch(p_tenant, c.members, p_wishes->>'source');
		update contact set updated_at = now() where tenant_id = p_tenant and id = c.root;
		perform audit_add(p_tenant, p_actor, p_role, 'preferences.updated', 'contact',
			c.root::text, p_fields);
		events := jsonb_build_array(jsonb_build_array('contact.updated',
			contact_json(p_tenant, c.root, c.root), p_changes)) || events;
	end if;
	perform wishes_events(p_tenant, p_event, p_event_at, events);
	state := 'ok';
	json := preferences_json(p_tenant, c.root, p_id);
exception when sqlstate 'IC422' then
	state := 'not_theirs';
	json := sqlerrm;
	events := '[]';
end $$;

-- ---- Consents -----------------------------------------------------------------------

create function consent_token_mac(p_tenant integer, p_id uuid, p_expires bigint)
returns text language sql stable as $$
	select encode(keyed_hash(p_tenant, 'consent', p_id || '.' || p_expires), 'hex')
$$;

-- POST …/consents. p_entry: {decision, kind, purpose, address_kind, address_value,
-- do_not_contact, pending_s, source, evidence}, checked by the daemon; pending_s: for how
-- long it may be confirmed, null = it counts now. state: 'created', 'not_found',
-- 'not_theirs', or one of idempotency_begin's.
create function consent_record(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_entry jsonb, p_caller text, p_method text, p_path text, p_key text, p_hash bytea,
	p_event uuid, p_event_at bigint,
	out state text, out status integer, out json text, out events jsonb)
language plpgsql as $$
declare
	b record;
	c record;
	v_at jsonb := jsonb_build_object('kind', coalesce(p_entry->>'kind', '*'),
		'purpose', coalesce(p_entry->>'purpose', '*'),
		'address_kind', coalesce(p_entry->>'address_kind', ''),
		'address_value', coalesce(p_entry->>'address_value', ''));
	v_says jsonb := jsonb_strip_nulls(jsonb_build_object(
		'decision', p_entry->'decision', 'kind', p_entry->'kind',
		'purpose', p_entry->'purpose', 'do_not_contact', p_entry->'do_not_contact',
		'source', p_entry->'source'))
		|| jsonb_build_object('evidence', p_entry->'evidence',
			'identity', identity_json(coalesce(p_entry->>'address_kind', ''),
				p_entry->>'address_value'),
			'state', case when p_entry->>'pending_s' is null then 'confirmed'
				else 'pending' end);
	v_seq bigint;
	v_id uuid;
	v_expires bigint;
begin
	events := '[]';
	select * into b from idempotency_begin(p_tenant, p_caller, p_method, p_path, p_key,
		p_hash);
	state := b.state;
	status := b.status;
	json := b.response;
	if state <> 'new' then
		return;
	end if;
	select * into c from contact_lock_members(p_tenant, p_id);
	if c.root is null then
		state := 'not_found';
		return;
	end if;
	if p_entry->>'decision' = 'allowed'
		and not consent_is_theirs(p_tenant, c.members, v_at) then
		state := 'not_theirs';
		json := (v_at->>'address_kind') || ':' || (v_at->>'address_value');
		return;
	end if;
	if p_entry->>'pending_s' is not null then
		perform tenant_secret_ensure(p_tenant, 'consent');
		v_seq := consent_append(p_tenant, p_actor, p_role, coalesce((
			select contact_id from identity where tenant_id = p_tenant
				and kind = v_at->>'address_kind' and value = v_at->>'address_value'
				and contact_id = any (c.members)
			order by trust desc, first_seen limit 1), c.root), uuid_now(), v_says);
		v_expires := extract(epoch from now())::bigint + (p_entry->>'pending_s')::bigint;
		insert into consent_pending select p_tenant, v_seq, contact_id,
			to_timestamp(v_expires) from consent_detail
		where tenant_id = p_tenant and seq = v_seq;
	elsif p_entry->>'decision' = 'denied' then
		v_seq := consent_deny(p_tenant, p_actor, p_role, c.members, v_at, v_says, true);
	else
		v_seq := consent_allow(p_tenant, p_actor, p_role, c.root, c.members, v_at,
			v_says);
	end if;
	if v_expires is null then
		perform preference_touch(p_tenant, c.members, p_entry->>'source');
	end if;
	events := consent_event(p_tenant, v_seq);
	json := events->0->>1;
	if v_expires is not null then
		select id into v_id from consent where tenant_id = p_tenant and seq = v_seq;
		json := left(json, -1) || ', "token" : "' || v_expires || '.'
			|| consent_token_mac(p_tenant, v_id, v_expires)
			|| '", "token_expires_at" : "' || time_text(to_timestamp(v_expires))
			|| '"}';
	end if;
	state := 'created';
	status := 201;
	perform wishes_events(p_tenant, p_event, p_event_at, events);
	perform idempotency_end(p_tenant, p_caller, p_method, p_path, p_key, p_hash, status,
		json);
end $$;

-- POST …/consents/{entry}/confirm. state: 'ok', 'not_found', 'not_pending', 'bad_token',
-- 'expired', 'denied_since', 'not_theirs'.
create function consent_confirm(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_entry uuid, p_token text, p_source text, p_evidence jsonb, p_event uuid,
	p_event_at bigint, out state text, out json text, out events jsonb)
language plpgsql as $$
declare
	c record;
	v_was record;
	v_says jsonb;
	v_at jsonb;
	v_expires bigint;
	v_seq bigint;
begin
	events := '[]';
	select * into c from contact_lock_members(p_tenant, p_id);
	select e.seq, d.payload::jsonb as says, p.seq is not null as pending into v_was
	from consent e join consent_detail d on d.tenant_id = e.tenant_id and d.seq = e.seq
	left join consent_pending p on p.tenant_id = e.tenant_id and p.seq = e.seq
	where e.tenant_id = p_tenant and e.id = p_entry and d.contact_id = any (c.members);
	if not found then
		state := 'not_found';
		return;
	end if;
	v_expires := case when p_token ~ '^[0-9]{1,12}\.[0-9a-f]{64}$'
		then split_part(p_token, '.', 1)::bigint end;
	if v_expires is null or sha256(convert_to(split_part(p_token, '.', 2), 'UTF8'))
		is distinct from sha256(convert_to(consent_token_mac(p_tenant, p_entry,
			v_expires), 'UTF8')) then
		state := 'bad_token';
		return;
	elsif not v_was.pending then
		state := 'not_pending';
		return;
	elsif to_timestamp(v_expires) < now() then
		state := 'expired';
		return;
	end if;
	v_at := jsonb_build_object('kind', v_was.says->'kind', 'purpose', v_was.says->'purpose',
		'address_kind', coalesce(v_was.says->'identity'->>'kind', ''),
		'address_value', coalesce(v_was.says->'identity'->>'value', ''));
	if exists (select from wish w where w.tenant_id = p_tenant
		and w.contact_id = any (c.members) and w.own = 'denied'
		and w.own_seq > v_was.seq and w.kind in ('*', v_at->>'kind')
		and w.purpose in ('*', v_at->>'purpose')
		and (w.address_kind = '' or v_at->>'address_kind' = ''
			or (w.address_kind = v_at->>'address_kind'
				and w.address_value = v_at->>'address_value'))) then
		state := 'denied_since';
		return;
	elsif not consent_is_theirs(p_tenant, c.members, v_at) then
		state := 'not_theirs';
		json := (v_at->>'address_kind') || ':' || (v_at->>'address_value');
		return;
	end if;
	delete from consent_pending where tenant_id = p_tenant and seq = v_was.seq;
	v_says := jsonb_build_object('decision', 'allowed', 'state', 'confirmed',
		'kind', v_was.says->'kind', 'purpose', v_was.says->'purpose',
		'identity', v_was.says->'identity', 'confirms', p_entry, 'source', p_source,
		'evidence', p_evidence);
	v_seq := consent_allow(p_tenant, p_actor, p_role, c.root, c.members, v_at, v_says);
	perform preference_touch(p_tenant, c.members, p_source);
	events := consent_event(p_tenant, v_seq);
	json := events->0->>1;
	state := 'ok';
	perform wishes_events(p_tenant, p_event, p_event_at, events);
end $$;

-- Somebody at this address has said STOP (a word of an SMS, a mail's List-Unsubscribe):
-- no more marketing and surveys of that kind to it. Bound to everybody who has it; to an
-- unnamed contact if nobody does. json: {"contacts": […], "recorded": n}.
create function consent_stop(p_tenant integer, p_actor text, p_role text, p_kind text,
	p_address_kind text, p_address_value text, p_normal boolean, p_source text,
	p_evidence jsonb, p_event uuid, p_event_at bigint, out json text, out events jsonb)
language plpgsql as $$
declare
	v_roots uuid[];
	v_root uuid;
	v_purpose text;
	v_members uuid[];
	v_seq bigint;
	v_at jsonb;
begin
	events := '[]';
	perform address_lock(p_tenant, jsonb_build_array(jsonb_build_object(
		'kind', p_address_kind, 'value', p_address_value, 'normal', p_normal)));
	loop
		v_roots := array(select distinct contact_root(p_tenant, contact_id)
			from identity where tenant_id = p_tenant and kind = p_address_kind
				and value = p_address_value order by 1);
		v_members := array(select m from unnest(v_roots) r,
			contact_members(p_tenant, r) m order by m);
		perform 1 from contact where tenant_id = p_tenant and id = any (v_members)
		order by id for no key update;
		exit when v_members = array(select m from unnest(v_roots) r,
			contact_members(p_tenant, contact_root(p_tenant, r)) m order by m);
	end loop;
	if v_roots = '{}' then
		v_roots := array[uuid_now()];
		insert into contact (tenant_id, id) values (p_tenant, v_roots[1]);
		insert into identity (tenant_id, kind, value, contact_id, trust, source)
		values (p_tenant, p_address_kind, p_address_value, v_roots[1], 0, p_source);
	end if;
	foreach v_root in array v_roots loop
		v_members := array(select m from contact_members(p_tenant, v_root) m order by m);
		foreach v_purpose in array array['marketing', 'survey'] loop
			v_at := jsonb_build_object('kind', p_kind, 'purpose', v_purpose,
				'address_kind', p_address_kind, 'address_value', p_address_value);
			v_seq := consent_deny(p_tenant, p_actor, p_role, v_members, v_at,
				jsonb_build_object('decision', 'denied', 'state', 'confirmed',
					'kind', p_kind, 'purpose', v_purpose,
					'identity', identity_json(p_address_kind, p_address_value),
					'source', p_source, 'evidence', p_evidence, 'stop', true),
				false);
			if v_seq is not null then
				perform preference_touch(p_tenant, v_members, p_source);
				events := events || consent_event(p_tenant, v_seq);
			end if;
		end loop;
	end loop;
	perform wishes_events(p_tenant, p_event, p_event_at, events);
	json := jsonb_build_object('contacts', to_jsonb(v_roots),
		'recorded', jsonb_array_length(events));
end $$;

-- ---- Suppression --------------------------------------------------------------------

-- Single addresses. reason 'erased': value is address_hash of an address that is kept
-- nowhere any more, so that who asked for silence and for erasure has both.
create table suppression (
	tenant_id integer not null,
	kind text not null,
	value text not null,
	reason text not null check (reason in ('bounced', 'complained', 'do_not_call', 'manual',
		'erased')),
	source text not null default '',
	at timestamptz not null default now(),
	primary key (tenant_id, kind, value, reason)
);

-- Lists of millions. A list is replaced by writing another generation beside the one that
-- counts and then pointing at it.
create table suppression_list (
	tenant_id integer not null references tenant,
	id integer generated always as identity,
	name text not null check (name ~ '^[A-Za-z0-9._-]{1,64}$'),
	generation bigint not null default 0,
	rows bigint not null default 0,
	source text not null default '',
	replaced_at timestamptz not null default now(),
	importing bigint,
	importing_at timestamptz,
	primary key (tenant_id, id),
	unique (tenant_id, name)
);
create sequence suppression_generation;

create table suppression_listed (
	tenant_id integer not null,
	list_id integer not null,
	generation bigint not null,
	kind text not null,
	value text not null,
	primary key (tenant_id, list_id, generation, kind, value)
) with (autovacuum_vacuum_insert_scale_factor = 0.1);

-- Why an address is suppressed: reasons, each once; {} = it is not.
create function suppression_reasons(p_tenant integer, p_kind text, p_value text)
returns text[] language sql stable as $$
	select array(
		select reason from suppression where tenant_id = p_tenant and kind = p_kind
			and value = any (array[p_value, address_hash(p_tenant, p_kind, p_value)])
		union
		select 'do_not_call' from suppression_list l
		where l.tenant_id = p_tenant and exists (select from suppression_listed s
			where s.tenant_id = p_tenant and s.list_id = l.id
				and s.generation = l.generation and s.kind = p_kind
				and s.value = p_value offset 0)
		order by 1)
$$;

-- How an address is named where values must not stand (audit).
create function suppression_ref(p_tenant integer, p_kind text, p_value text) returns text
language sql stable as $$
	select p_kind || ':' || left(address_hash(p_tenant, p_kind, p_value), 17)
$$;

create function suppression_json(p_kind text, p_value text, p_reason text, p_list text,
	p_source text, p_at timestamptz) returns json language sql stable as $$
	select json_build_object('identity', case when p_reason <> 'erased' then
			json_build_object('kind', p_kind, 'value', p_value) end,
		'kind', p_kind, 'hash', case when p_reason = 'erased' then substr(p_value, 2) end,
		'reason', p_reason, 'list', p_list, 'source', p_source, 'at', time_text(p_at))
$$;

-- The place of a suppression in the order of all.
create function suppression_place(p_kind text, p_value text, p_reason text, p_list text)
returns text language sql stable as $$
	select encode(convert_to(to_json(array[p_kind, p_value, p_reason, p_list])::text,
		'UTF8'), 'hex')
$$;

-- Everything that stands against an address.
create function suppression_of(p_tenant integer, p_kind text, p_value text)
returns table (kind text, value text, reason text, list text, source text, at timestamptz)
language sql stable as $$
	select s.kind, s.value, s.reason, '', s.source, s.at from suppression s
	where s.tenant_id = p_tenant and s.kind = p_kind
		and s.value = any (array[p_value, address_hash(p_tenant, p_kind, p_value)])
	union all
	select p_kind, p_value, 'do_not_call', l.name, l.source, l.replaced_at
	from suppression_list l
	where l.tenant_id = p_tenant and exists (select from suppression_listed s
		where s.tenant_id = p_tenant and s.list_id = l.id
			and s.generation = l.generation and s.kind = p_kind
			and s.value = p_value offset 0)
$$;

-- Everything that is suppressed, in order.
create function suppression_all(p_tenant integer, p_reason text, p_list text,
	p_after text[], p_limit integer)
returns table (kind text, value text, reason text, list text, source text, at timestamptz)
language sql stable as $$
	(select s.kind, s.value, s.reason, '', s.source, s.at from suppression s
		where s.tenant_id = p_tenant and p_list is null
			and (p_reason is null or s.reason = p_reason)
			and (s.kind, s.value, s.reason, '')
				> (p_after[1], p_after[2], p_after[3], p_after[4])
		order by s.kind, s.value, s.reason limit p_limit)
	union all
	(select n.kind, n.value, 'do_not_call', l.name, l.source, l.replaced_at
		from suppression_list l cross join lateral (
			select s.kind, s.value from suppression_listed s
			where s.tenant_id = p_tenant and s.list_id = l.id
				and s.generation = l.generation
				and (s.kind, s.value) >= (p_after[1], p_after[2])
				and (s.kind, s.value, 'do_not_call', l.name)
					> (p_after[1], p_after[2], p_after[3], p_after[4])
			order by s.kind, s.value limit p_limit) n
		where l.tenant_id = p_tenant and (p_list is null or l.name = p_list)
			and (p_reason is null or p_reason = 'do_not_call'))
$$;

-- One page of either, each with its place in the order.
create function suppression_page(p_tenant integer, p_kind text, p_value text,
	p_reason text, p_list text, p_after text[], p_limit integer)
returns table (place text, item json) language plpgsql stable as $$
declare
	v_after text[] := coalesce(p_after, array['', '', '', '']);
begin
	if p_value is not null then
		return query
		select suppression_place(s.kind, s.value, s.reason, s.list), suppression_json(
			s.kind, s.value, s.reason, nullif(s.list, ''), s.source, s.at)
		from suppression_of(p_tenant, p_kind, p_value) s
		where (p_reason is null or s.reason = p_reason)
			and (p_list is null or s.list = p_list)
			and (s.kind, s.value, s.reason, s.list)
				> (v_after[1], v_after[2], v_after[3], v_after[4])
		order by s.kind, s.value, s.reason, s.list limit p_limit;
		return;
	end if;
	return query
	select suppression_place(s.kind, s.value, s.reason, s.list),
		suppression_json(s.kind, s.value, s.reason, nullif(s.list, ''), s.source, s.at)
	from suppression_all(p_tenant, p_reason, p_list, v_after, p_limit) s
	order by s.kind, s.value, s.reason, s.list limit p_limit;
end $$;

-- POST /v1/suppressions. state: 'created', 'ok' (it was there), or idempotency_begin's.
create function suppression_add(p_tenant integer, p_actor text, p_role text, p_kind text,
	p_value text, p_reason text, p_source text, p_caller text, p_method text, p_path text,
	p_key text, p_hash bytea, out state text, out status integer, out json text)
language plpgsql as $$
declare
	b record;
	v_row suppression;
begin
	select * into b from idempotency_begin(p_tenant, p_caller, p_method, p_path, p_key,
		p_hash);
	state := b.state;
	status := b.status;
	json := b.response;
	if state <> 'new' then
		return;
	end if;
	insert into suppression (tenant_id, kind, value, reason, source)
	values (p_tenant, p_kind, p_value, p_reason, p_source)
	on conflict do nothing returning * into v_row;
	state := case when found then 'created' else 'ok' end;
	if state = 'created' then
		perform audit_add(p_tenant, p_actor, p_role, 'suppression.added', 'suppression',
			suppression_ref(p_tenant, p_kind, p_value), array[p_reason]);
	else
		select * into v_row from suppression where tenant_id = p_tenant
			and kind = p_kind and value = p_value and reason = p_reason;
	end if;
	status := case state when 'created' then 201 else 200 end;
	json := suppression_json(v_row.kind, v_row.value, v_row.reason, null, v_row.source,
		v_row.at);
	perform idempotency_end(p_tenant, p_caller, p_method, p_path, p_key, p_hash, status,
		json);
end $$;

-- DELETE by address: also from lists, until they are imported again. What stands for
-- somebody who was erased goes only if that is asked for. How many went.
create function suppression_remove(p_tenant integer, p_actor text, p_role text, p_kind text,
	p_value text, p_reason text) returns integer language plpgsql as $$
declare
	v_gone integer;
	v_listed integer;
begin
	delete from suppression where tenant_id = p_tenant and kind = p_kind
		and value in (p_value, address_hash(p_tenant, p_kind, p_value))
		and reason = coalesce(p_reason, reason)
		and (reason <> 'erased' or p_reason = 'erased');
	get diagnostics v_gone = row_count;
	with gone as (
		delete from suppression_listed s using suppression_list l
		where l.tenant_id = p_tenant and s.tenant_id = p_tenant and s.list_id = l.id
			and s.generation = l.generation and s.kind = p_kind and s.value = p_value
			and coalesce(p_reason, 'do_not_call') = 'do_not_call'
		returning l.id),
	counted as (
		update suppression_list l set rows = l.rows - 1
		from gone where l.tenant_id = p_tenant and l.id = gone.id)
	select count(*) into v_listed from gone;
	if v_gone + v_listed > 0 then
		perform audit_add(p_tenant, p_actor, p_role, 'suppression.removed', 'suppression',
			suppression_ref(p_tenant, p_kind, p_value),
			array_remove(array[p_reason], null));
	end if;
	return v_gone + v_listed;
end $$;

-- DELETE of a whole list. False if there is none.
create function suppression_list_remove(p_tenant integer, p_actor text, p_role text,
	p_name text) returns boolean language plpgsql as $$
begin
	delete from suppression_list where tenant_id = p_tenant and name = p_name;
	if not found then
		return false;
	end if;
	perform audit_add(p_tenant, p_actor, p_role, 'suppression.list_removed',
		'suppression_list', p_name, '{}');
	return true;
end $$;

-- An import begins: into a new generation (p_replace), or beside what is there. state:
-- 'ok', 'busy' (one of this list runs), 'full' (100 lists).
create function suppression_import_begin(p_tenant integer, p_name text, p_source text,
	p_replace boolean, out state text, out list integer, out generation bigint)
language plpgsql as $$
declare
	v suppression_list;
begin
	if not exists (select from suppression_list l
		where l.tenant_id = p_tenant and l.name = p_name)
		and (select count(*) from suppression_list l where l.tenant_id = p_tenant) >= 100
	then
		state := 'full';
		return;
	end if;
	insert into suppression_list (tenant_id, name, source)
	values (p_tenant, p_name, p_source) on conflict do nothing;
	select * into v from suppression_list l
	where l.tenant_id = p_tenant and l.name = p_name for update;
	if v.importing_at > now() - interval '2 minutes' then
		state := 'busy';
		return;
	end if;
	generation := case when p_replace then nextval('suppression_generation')
		else v.generation end;
	update suppression_list l set importing = suppression_import_begin.generation,
		importing_at = now()
	where l.tenant_id = p_tenant and l.id = v.id;
	list := v.id;
	state := 'ok';
end $$;

-- One batch; how many were new. Null: the import is not ours any more.
create function suppression_import_rows(p_tenant integer, p_list integer,
	p_generation bigint, a_kind text[], a_value text[]) returns integer
language plpgsql as $$
declare
	v_new integer;
begin
	update suppression_list set importing_at = now()
	where tenant_id = p_tenant and id = p_list and importing = p_generation
		and importing_at < now() - interval '10 seconds';
	if not exists (select from suppression_list where tenant_id = p_tenant and id = p_list
		and importing = p_generation) then
		return null;
	end if;
	insert into suppression_listed (tenant_id, list_id, generation, kind, value)
	select p_tenant, p_list, p_generation, kind, value
	from unnest(a_kind, a_value) u(kind, value)
	on conflict do nothing;
	get diagnostics v_new = row_count;
	return v_new;
end $$;

-- The import ends well: from now on its generation is the list. False: not ours any more.
create function suppression_import_end(p_tenant integer, p_actor text, p_role text,
	p_list integer, p_generation bigint, p_source text, p_rows bigint) returns boolean
language plpgsql as $$
declare
	v_name text;
begin
	update suppression_list set
		rows = p_rows + case when generation = p_generation then rows else 0 end,
		generation = p_generation, importing = null, importing_at = null,
		source = p_source, replaced_at = now()
	where tenant_id = p_tenant and id = p_list and importing = p_generation
	returning name into v_name;
	if not found then
		return false;
	end if;
	perform audit_add(p_tenant, p_actor, p_role, 'suppressions.imported',
		'suppression_list', v_name, '{}');
	return true;
end $$;

create function suppression_import_abort(p_tenant integer, p_list integer,
	p_generation bigint) returns void language sql as $$
	update suppression_list set importing = null, importing_at = null
	where tenant_id = p_tenant and id = p_list and importing = p_generation
$$;

-- Rows of generations that neither count nor come; at most p_max of them at a time.
create function suppression_sweep(p_max integer) returns integer language plpgsql as $$
declare
	v record;
	v_gone integer := 0;
	v_n integer;
	v_tenant integer := 0;
	v_list integer := 0;
	v_generation bigint := -1;
begin
	loop
		-- from one (tenant, list, generation) to the next, by the key
		select s.tenant_id, s.list_id, s.generation into v from suppression_listed s
		where (s.tenant_id, s.list_id, s.generation)
			> (v_tenant, v_list, v_generation)
		order by s.tenant_id, s.list_id, s.generation limit 1;
		exit when not found or v_gone >= p_max;
		v_tenant := v.tenant_id;
		v_list := v.list_id;
		v_generation := v.generation;
		continue when exists (select from suppression_list l
			where l.tenant_id = v_tenant and l.id = v_list
				and (l.generation = v_generation or (l.importing = v_generation
					and l.importing_at > now() - interval '10 minutes')));
		-- nobody else changes rows of such a generation, so they stay where they are
		delete from suppression_listed where tenant_id = v_tenant
			and ctid = any (array(select ctid from suppression_listed
				where tenant_id = v_tenant and list_id = v_list
					and generation = v_generation
				order by kind, value limit p_max - v_gone));
		get diagnostics v_n = row_count;
		v_gone := v_gone + v_n;
	end loop;
	return v_gone;
end $$;

-- ---- Erasure ------------------------------------------------------------------------

-- The entries that tell of these contacts: their own, and what was recorded for others as
-- well, while merged with them, about one of these addresses (that nobody else has).
create function consent_entries(p_tenant integer, p_members uuid[], p_kinds text[],
	p_values text[]) returns setof bigint language sql stable rows 100 as $$
	select d.seq from consent_detail d
	where d.tenant_id = p_tenant and d.contact_id = any (p_members)
	union
	select o.seq from consent_detail d
	cross join lateral (select e.seq, e.payload::jsonb->'identity' as identity
		from consent_detail e where e.act = d.act and e.tenant_id = p_tenant offset 0) o
	where d.tenant_id = p_tenant and d.contact_id = any (p_members)
		and (o.identity->>'kind', o.identity->>'value') in (
			select a.kind, a.value from unnest(p_kinds, p_values) a(kind, value))
$$;

-- Takes away what the ledger and the wishes say of these contacts (locked by the caller,
-- their identities still there); p_kinds and p_values: those of their addresses that nobody
-- else has. That entries were erased is an entry itself. Who was not to be contacted, or was
-- suppressed, stays so by keyed hashes of the addresses: of those that nobody else has, and if
-- they said so themselves, of all, for what others have too was closed by that before. p_bar:
-- as if each were suppressed. Whether they must not be contacted any more.
create function wishes_erase(p_tenant integer, p_actor text, p_role text, p_members uuid[],
	p_kinds text[], p_values text[], p_bar boolean) returns boolean language plpgsql as $$
declare
	v_silent boolean := exists (select from wishes_of(p_tenant, p_members)
		where kind = '*' and says = 'denied');
	v_entries bigint[];
begin
	insert into suppression (tenant_id, kind, value, reason, source)
	select p_tenant, a.kind, address_hash(p_tenant, a.kind, a.value), 'erased', ''
	from (select u.kind, u.value from unnest(p_kinds, p_values) u(kind, value)
		where p_bar or exists (select from suppression s where s.tenant_id = p_tenant
			and s.kind = u.kind and s.value = u.value offset 0)
		union
		select i.kind, i.value from identity i where v_silent
			and i.tenant_id = p_tenant and i.contact_id = any (p_members)) a
	on conflict do nothing;
	delete from suppression s using unnest(p_kinds, p_values) a(kind, value)
	where s.tenant_id = p_tenant and s.kind = a.kind and s.value = a.value;
	delete from consent_pending where tenant_id = p_tenant and contact_id = any (p_members);
	with gone as (
		delete from consent_detail where tenant_id = p_tenant
			and seq in (select consent_entries(p_tenant, p_members, p_kinds, p_values))
		returning seq)
	select array_agg(seq order by seq) into v_entries from gone;
	delete from wish where tenant_id = p_tenant and contact_id = any (p_members);
	delete from wish w using unnest(p_kinds, p_values) a(kind, value)
	where w.tenant_id = p_tenant and w.address_kind = a.kind
		and w.address_value = a.value and w.address_value <> '';
	delete from preference where tenant_id = p_tenant and contact_id = any (p_members);
	if v_entries is not null then
		perform consent_append(p_tenant, p_actor, p_role, null, uuid_now(),
			jsonb_build_object('decision', 'erased', 'state', 'confirmed',
				'erased', to_jsonb(v_entries)));
	end if;
	return p_bar or v_silent;
end $$;

-- ---- For the gate -------------------------------------------------------------------

-- Everything that the decision about a contact wants to know of its wishes; null: no such
-- contact.
--   contact, merged_from, name, language, timezone
--   wishes     as wishes_json
--   addresses  [{kind, value, normal, trust, last_seen, suppressed: [reason…],
--              denied, allowed: [{kind, purpose}…], wrote: {kind: time}}], best first:
--              what is denied or allowed for this very address, everything taken together
--              (a general allowance covers the addresses of the member that gave it, so a
--              merge opens no address to anything), and when they last wrote from it;
--              shared: other contacts have it too, and others_denied: what those deny for
--              it (kind and purpose '*': do not contact) (among
--              the last 1000 entries of each member)
create function gate_contact(p_tenant integer, p_id uuid) returns jsonb
language plpgsql stable as $$
declare
	v_root uuid := contact_root(p_tenant, p_id);
	v_members uuid[] := array(select contact_members(p_tenant, v_root));
begin
	if v_root is null then
		return null;
	end if;
	return (
	with said as materialized (
		select * from wishes_said(p_tenant, v_members) where kind <> '*'),
	held as materialized (
		select i.kind, i.value, max(i.trust) as trust, max(i.last_seen) as last_seen,
			min(i.first_seen) as first_seen, array_agg(i.contact_id) as owners,
			array(select o.contact_id from identity o
				where o.tenant_id = p_tenant and o.kind = i.kind
					and o.value = i.value and o.contact_id <> all (v_members)
				order by o.contact_id limit 20) as others
		from unnest(v_members) m(id) cross join lateral (select * from identity
			where contact_id = m.id and tenant_id = p_tenant offset 0) i
		group by 1, 2 order by trust desc, first_seen, 1, 2 limit 100),
	ruled as (
		select h.kind as akind, h.value as avalue, s.kind, s.purpose,
			bool_or(s.says = 'denied') as denied,
			bool_or(s.says = 'allowed' and (s.address_kind <> ''
				or s.contact_id = any (h.owners))) as allowed
		from held h join said s on s.address_kind = ''
			or (s.address_kind = h.kind and s.address_value = h.value)
		group by 1, 2, 3, 4),
	wrote as (
		select i.remote_kind, i.remote_value, i.kind, max(i.at) as at
		from unnest(v_members) m(id) cross join lateral (
			select t.id from (select id, direction, kind from timeline
				where tenant_id = p_tenant and contact_id = m.id
				order by id desc limit 1000) t
			where t.direction = 'in' and t.kind <> all ('{call,note,visit}')
			order by t.id desc limit 100) t
		cross join lateral (select * from interaction
			where tenant_id = p_tenant and id = t.id offset 0) i
		where i.remote_value is not null group by 1, 2, 3)
	select jsonb_build_object('contact', c.id, 'merged_from', nullif(p_id, v_root),
		'name', c.name, 'language', c.language, 'timezone', coalesce(c.timezone,
			(select m.timezone from contact m where m.tenant_id = p_tenant
				and m.id = any (v_members) and m.timezone is not null
			order by m.id limit 1)),
		'wishes', wishes_json(p_tenant, v_root),
		'addresses', coalesce((select jsonb_agg(jsonb_build_object('kind', h.kind,
			'value', h.value, 'normal', (select a.normal from address a
				where a.tenant_id = p_tenant and a.kind = h.kind
					and a.value = h.value),
			'trust', trust_text(h.trust), 'last_seen', time_text(h.last_seen),
			'suppressed', suppression_reasons(p_tenant, h.kind, h.value),
			'denied', coalesce((select jsonb_agg(jsonb_build_object('kind', r.kind,
				'purpose', r.purpose) order by r.kind, r.purpose) from ruled r
				where r.akind = h.kind and r.avalue = h.value and r.denied), '[]'),
			'allowed', coalesce((select jsonb_agg(jsonb_build_object('kind', r.kind,
				'purpose', r.purpose) order by r.kind, r.purpose) from ruled r
				where r.akind = h.kind and r.avalue = h.value and r.allowed
					and not r.denied), '[]'),
			'shared', h.others <> '{}',
			'others_denied', coalesce((select jsonb_agg(distinct jsonb_build_object(
				'kind', o.kind, 'purpose', o.purpose))
				from unnest(h.others) other(id), wishes_said(p_tenant,
					array(select contact_members(p_tenant,
						contact_root(p_tenant, other.id)))) o
				where o.says = 'denied' and (o.address_kind = ''
					or (o.address_kind = h.kind
						and o.address_value = h.value))), '[]'),
			'wrote', coalesce((select jsonb_object_agg(w.kind, time_text(w.at))
				from wrote w where w.remote_kind = h.kind
					and w.remote_value = h.value), '{}'))
			order by h.trust desc, h.first_seen, h.kind, h.value)
			from held h), '[]'))
	from contact c where c.tenant_id = p_tenant and c.id = v_root);
end $$;
