-- gaps: when a phone system was not heard, what was missed, what was filled in afterwards

-- calls: those whose beginning or end was missed. missed: how many of the phone system's
-- channels, by kind (words of daemon/calls/tracker.h). history: null if the channel has
-- none configured, else waiting, read or failed.
create table gap (
	tenant_id integer not null,
	channel text not null,
	id uuid not null,
	began_at timestamptz not null,
	ended_at timestamptz not null,
	cause text not null,
	missed jsonb not null default '{}',
	events integer not null default 0,
	calls integer not null default 0,
	found_at timestamptz not null default now(),
	history text,
	history_error text,
	written integer not null default 0,
	completed integer not null default 0,
	backfilled_at timestamptz,
	primary key (tenant_id, channel, id)
);
create index gap_id on gap (tenant_id, id);

-- The interactions that a gap touches. missed is empty if it was up meanwhile and nothing
-- is known to be missing of it.
create table gap_call (
	tenant_id integer not null,
	interaction_id uuid not null,
	gap_id uuid not null,
	missed text[] not null default '{}',
	primary key (tenant_id, interaction_id, gap_id)
);
create index gap_call_gap on gap_call (tenant_id, gap_id);

-- Until when a channel was surely heard: where a gap begins that the daemon was down for.
create table channel_heard (
	tenant_id integer not null,
	channel text not null,
	at timestamptz not null,
	primary key (tenant_id, channel)
) with (fillfactor = 50);

create function gap_json(g gap) returns json language sql stable as $$
	select json_build_object('id', g.id, 'channel', g.channel,
		'began_at', time_text(g.began_at), 'ended_at', time_text(g.ended_at),
		'found_at', time_text(g.found_at), 'cause', g.cause, 'missed', g.missed,
		'events_at_least', g.events, 'calls', g.calls,
		'interactions', c.n, 'contacts', c.contacts,
		'history', case when g.history is not null then json_build_object(
			'state', g.history, 'error', g.history_error, 'written', g.written,
			'completed', g.completed) end,
		'backfilled_at', time_text(g.backfilled_at))
	from (select count(*) as n, count(distinct i.contact_id) as contacts
		from gap_call c
		left join interaction i on i.tenant_id = c.tenant_id and i.id = c.interaction_id
		where c.tenant_id = g.tenant_id and c.gap_id = g.id) c
$$;

-- The same gap may come again (a lost answer): it is the same row.
create function gap_save(p_tenant integer, p_channel text, p_id uuid, p_began bigint,
	p_ended bigint, p_cause text, p_missed jsonb, p_events integer, p_calls integer,
	p_history text, a_call uuid[], a_missed text[]) returns json language plpgsql as $$
declare
	v gap;
begin
	insert into gap (tenant_id, channel, id, began_at, ended_at, cause, missed, events,
		calls, history)
	values (p_tenant, p_channel, p_id, us_to_time(p_began), us_to_time(p_ended), p_cause,
		p_missed, p_events, p_calls, p_history)
	on conflict (tenant_id, channel, id) do update set history = excluded.history
	returning * into v;
	insert into gap_call (tenant_id, interaction_id, gap_id, missed)
	select p_tenant, call, p_id, string_to_array(missed, ' ')
	from unnest(a_call, a_missed) u(call, missed)
	on conflict do nothing;
	return gap_json(v);
end $$;

-- What the phone system's own records gave for a gap. The calls that only they know were
-- missed in whole.
create function gap_filled(p_tenant integer, p_channel text, p_id uuid, p_error text,
	p_written integer, p_completed integer, a_call uuid[]) returns json
language plpgsql as $$
declare
	v gap;
begin
	insert into gap_call (tenant_id, interaction_id, gap_id, missed)
	select p_tenant, call, p_id, '{begin,end}' from unnest(a_call) call
	on conflict do nothing;
	update gap set history = case when p_error is null then 'read' else 'failed' end,
		history_error = p_error, written = written + p_written,
		completed = completed + p_completed, calls = calls + p_written,
		backfilled_at = case when p_error is null then now() else backfilled_at end
	where tenant_id = p_tenant and channel = p_channel and id = p_id
	returning * into v;
	return gap_json(v);
end $$;

-- Those of a_id that the history may write: not there yet, or not known to their end.
create function history_wanted(p_tenant integer, a_id uuid[])
returns table (id uuid, known boolean) language sql stable as $$
	select u.id, i.id is not null
	from unnest(a_id) u(id)
	left join interaction i on i.tenant_id = p_tenant and i.id = u.id
	where not exists (select from absorbed x
			where x.tenant_id = p_tenant and x.id = u.id)
		and (i.id is null or (not coalesce(i.details ? 'source', false)
			and (i.state is distinct from 'ended' or i.disposition = 'interrupted'
			or exists (select from gap_call c where c.tenant_id = p_tenant
				and c.interaction_id = i.id and 'end' = any (c.missed)))))
$$;

-- Between events and history: what the history has completed (details.source says so)
-- stays, also when a spool is replayed; and it completes only what events do not know to
-- its end. What events knew and it does not (variables, the agent) is kept.
create function interaction_history_rule() returns trigger language plpgsql as $$
begin
	if coalesce(old.details ? 'source', false) or not exists (
		select from history_wanted(old.tenant_id, array[old.id])) then
		return null;
	end if;
	new.variables := old.variables || new.variables;
	new.details := coalesce(old.details, '{}') || new.details;
	new.agent := coalesce(new.agent, old.agent);
	new.queue := coalesce(new.queue, old.queue);
	new.local := coalesce(new.local, old.local);
	new.remote_display := coalesce(new.remote_display, old.remote_display);
	return new;
end $$;
create trigger interaction_history before update on interaction for each row
	when (coalesce(new.details ? 'source', false)
		<> coalesce(old.details ? 'source', false))
	execute function interaction_history_rule();

-- The object of contract.md, without what only a single one is read with; now also where
-- it is from, and whether a gap touches it.
create or replace function interaction_json(i interaction) returns json
language sql stable as $$
	select json_build_object('id', i.id, 'kind', i.kind, 'direction', i.direction,
		'channel', i.channel, 'external_id', i.external_id, 'state', i.state,
		'contact', contact_root(i.tenant_id, i.contact_id),
		'conversation', i.conversation_id, 'agent', i.agent, 'queue', i.queue,
		'remote', case when i.remote_kind is not null then json_build_object(
			'kind', i.remote_kind, 'value', i.remote_value,
			'display', i.remote_display, 'withheld', i.withheld,
			'trust', trust_text(i.trust)) end,
		'local', i.local, 'at', time_text(i.at),
		'answered_at', time_text(i.answered_at), 'ended_at', time_text(i.ended_at),
		'summary', i.summary, 'variables', i.variables,
		'details', coalesce(i.details - 'source', '{}'), 'disposition', i.disposition,
		'wait_ms', i.wait_ms, 'talk_ms', i.talk_ms, 'hold_ms', i.hold_ms,
		'source', coalesce(i.details ->> 'source',
			case when i.kind = 'call' and i.channel is not null then 'events' end),
		'gap', exists (select from gap_call c
			where c.tenant_id = i.tenant_id and c.interaction_id = i.id))
$$;

create or replace function interaction_full_json(i interaction) returns text
language sql stable as $$
	select left(interaction_json(i)::text, -1) || ', "legs" : ' || coalesce((
		select json_agg(json_build_object('id', id, 'type', type, 'agent', agent,
			'interface', interface, 'queue', queue, 'at', time_text(at),
			'answered_at', time_text(answered_at), 'ended_at', time_text(ended_at),
			'result', result) order by at, id)
		from interaction_leg l
		where l.tenant_id = i.tenant_id and l.interaction_id = i.id)::text, '[]')
		|| ', "gaps" : ' || coalesce((
		select json_agg(json_build_object('id', g.id, 'channel', g.channel,
			'began_at', time_text(g.began_at), 'ended_at', time_text(g.ended_at),
			'cause', g.cause, 'missed', c.missed) order by g.began_at)
		from gap_call c join gap g on g.tenant_id = c.tenant_id and g.id = c.gap_id
		where c.tenant_id = i.tenant_id and c.interaction_id = i.id)::text, '[]')
		|| ', "body" : null, "history" : ' || coalesce((
		select json_agg(json_build_object('at', time_text(at), 'actor', actor,
			'action', action, 'fields', fields) order by id)
		from audit a where a.tenant_id = i.tenant_id
			and a.object_kind = 'interaction' and a.object_id = i.id::text)::text, '[]')
		|| '}'
$$;
