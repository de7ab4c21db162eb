// The miss queue: requests of all ports that missed in L1, or that must walk.
//
// Contract: sections 6 (taking an entry), 7 (states, right to fill), 7.1 (merging), 10.1 (monitor).
// Counterpart: src/model/miss_queue.rs.
//
// An entry changes by one event at a time: look-ups in L1, the look-up in the STLB, a walker that
// takes it, and the commit find it in different states. The data of the requests has no reset.

module miss_queue
  import mmu_pkg::*;
#(
    /// Ports of the machine.
    parameter int unsigned PORTS   = 2,
    /// Entries, 1 to 16.
    parameter int unsigned ENTRIES = 8,
    /// Page walkers, 1 to 4.
    parameter int unsigned WALKERS = 2
) (
    /// Clock.
    input  logic               clk_i,
    /// Synchronous reset, active low.
    input  logic               rst_ni,
    // From and to the ports.
    /// The port's candidate is a request in RETRY.
    output logic               retry_o           [PORTS],
    /// Its address.
    output logic [63:0]        retry_va_o        [PORTS],
    /// That request.
    output request_t           retry_request_o   [PORTS],
    /// Code of the look-up of this cycle in L1.
    input  lookup_e            lookup_i          [PORTS],
    /// Address that was looked up.
    input  logic [63:0]        lookup_va_i       [PORTS],
    /// Request that was looked up.
    input  request_t           lookup_request_i  [PORTS],
    /// The request needs an entry, and there is none: its look-up does not perform.
    output logic               refused_o         [PORTS],
    // From and to the STLB.
    /// The entry waits for a look-up in the STLB.
    output logic [ENTRIES-1:0] wants_stlb_o,
    /// An entry is looked up in this cycle.
    input  logic               stlb_take_i,
    /// Its number.
    input  entry_t             stlb_entry_i,
    /// Its port.
    output port_number_t       stlb_port_o,
    /// Its page number.
    output page_number_t       stlb_page_o,
    /// Its access.
    output access_t            stlb_access_o,
    // From and to the walkers.
    /// The entry waits for a walker.
    output logic [ENTRIES-1:0] wants_walk_o,
    /// A walker takes an entry in this cycle.
    input  logic               walk_take_i,
    /// Its number.
    input  entry_t             walk_entry_i,
    /// Its page number.
    output page_number_t       walk_page_o,
    /// Its access.
    output access_t            walk_access_o,
    /// Its walk begins at CR3.
    output logic               walk_from_cr3_o,
    /// The walk of a walker restarts.
    input  logic [WALKERS-1:0] restart_i,
    /// What the walkers work for.
    input  owner_t             owner_i           [WALKERS],
    // From and to the commit.
    /// What commits in this cycle.
    input  commit_t            commit_i,
    /// Its entry: port, id and right to fill.
    output miss_t              commit_miss_o,
    /// Its address.
    output logic [63:0]        commit_va_o,
    // From control.
    /// An invalidation takes the right to fill from all.
    input  logic               revoke_i,
    // From the STLB.
    /// Entries that keep what a back-invalidation removes lose the right to fill.
    input  logic [ENTRIES-1:0] keeps_evicted_i,
    // To the monitor.
    /// Code of the look-up in L1, 0 if none performs.
    output logic [3:0]         mon_lookup_o      [PORTS],
    /// Entry that it takes or has.
    output logic [3:0]         mon_lookup_entry_o[PORTS],
    /// It was that of a request in RETRY.
    output logic               mon_lookup_retry_o[PORTS],
    /// What the entries hold.
    output logic [31:0]        mon_miss_o        [ENTRIES]
);

  localparam int unsigned IndexWidth = ENTRIES > 1 ? $clog2(ENTRIES) : 1;
  localparam int unsigned PortWidth = PORTS > 1 ? $clog2(PORTS) : 1;
  typedef logic [IndexWidth-1:0] index_t;
  typedef logic [ENTRIES-1:0] mask_t;
  typedef logic [PortWidth-1:0] port_t;

  miss_state_e  state_q  [ENTRIES];
  mask_t        may_fill_d, may_fill_q;
  mask_t        from_cr3_d, from_cr3_q;
  port_t        port_q   [ENTRIES];
  logic [63:0]  va_q     [ENTRIES];
  request_t     request_q[ENTRIES];
  /// Of an entry in WAITING: the entry that it waits for.
  index_t       primary_q[ENTRIES];
  /// The port that is served first.
  port_t        first_d, first_q;
  /// It was refused, and its oldest request has not been looked up since.
  logic         owed_d, owed_q;

  // A number of fewer entries than 16 has bits that are always 0.
  logic unused_numbers;
  assign unused_numbers = ^{stlb_entry_i, walk_entry_i};

  // ---------------------------------------------------------------------------------------------
  // Who waits for what (a function of state alone)
  // ---------------------------------------------------------------------------------------------

  mask_t is_free;
  mask_t is_retry;
  /// With the right to fill and the same page it would accept a request, but for its commit.
  mask_t is_primary;

  always_comb begin : sort_by_state
    for (int unsigned e = 0; e < ENTRIES; e++) begin
      is_free[e] = state_q[e] == MissFree;
      wants_stlb_o[e] = state_q[e] == MissStlbWait;
      wants_walk_o[e] = state_q[e] == MissWalkWait;
      is_retry[e] = state_q[e] == MissRetry;
      is_primary[e] = state_q[e] >= MissStlbWait && state_q[e] <= MissWalking;
    end
  end

  index_t retry_entry[PORTS];

  always_comb begin : choose_retries
    for (int unsigned p = 0; p < PORTS; p++) begin
      retry_o[p] = 1'b0;
      retry_entry[p] = '0;
      retry_va_o[p] = '0;
      retry_request_o[p] = '0;
    end
    if (is_retry != '0) begin
      for (int unsigned e = ENTRIES; e > 0; e--) begin
        if (is_retry[e-1]) begin
          retry_o[port_q[e-1]] = 1'b1;
          retry_entry[port_q[e-1]] = index_t'(e - 1);
        end
      end
      for (int unsigned p = 0; p < PORTS; p++) begin
        if (retry_o[p]) begin
          retry_va_o[p] = va_q[retry_entry[p]];
          retry_request_o[p] = request_q[retry_entry[p]];
        end
      end
    end
  end

  always_comb begin : show_to_stlb
    stlb_port_o = '0;
    stlb_page_o = '0;
    stlb_access_o = '0;
    if (stlb_take_i) begin
      stlb_port_o = port_number_t'(port_q[index_t'(stlb_entry_i)]);
      stlb_page_o = va_q[index_t'(stlb_entry_i)][56:12];
      stlb_access_o = request_q[index_t'(stlb_entry_i)].access;
    end
  end

  always_comb begin : show_to_walkers
    walk_page_o = '0;
    walk_access_o = '0;
    walk_from_cr3_o = 1'b0;
    if (walk_take_i) begin
      walk_page_o = va_q[index_t'(walk_entry_i)][56:12];
      walk_access_o = request_q[index_t'(walk_entry_i)].access;
      walk_from_cr3_o = from_cr3_q[index_t'(walk_entry_i)];
    end
  end

  // ---------------------------------------------------------------------------------------------
  // The commit
  // ---------------------------------------------------------------------------------------------

  logic   commits;
  index_t commit_entry;
  assign commits = (commit_i.start || commit_i.done || commit_i.result) &&
      commit_i.owner != OwnerPrefetch;
  assign commit_entry = index_t'(commit_i.owner);

  always_comb begin : show_to_commit
    commit_miss_o = '0;
    commit_va_o = '0;
    if (commits) begin
      commit_miss_o.port = port_number_t'(port_q[commit_entry]);
      commit_miss_o.id = request_q[commit_entry].id;
      commit_miss_o.is_write = request_q[commit_entry].access.kind == KindWrite;
      commit_miss_o.may_fill = may_fill_q[commit_entry];
      commit_va_o = va_q[commit_entry];
    end
  end

  // ---------------------------------------------------------------------------------------------
  // Look-ups in L1: who takes an entry, who is merged, who is refused
  // ---------------------------------------------------------------------------------------------

  function automatic logic needs_entry(lookup_e code);
    return code == LookupMiss || code == LookupDenied || code == LookupDirtyClear;
  endfunction

  /// What the look-ups come to: the codes above, or merged, or none where it is refused.
  lookup_e     code   [PORTS];
  /// Entry that is taken, or that the request in RETRY has.
  index_t      entry  [PORTS];
  /// Entry that a merged request waits for.
  index_t      primary[PORTS];
  /// The request is a new one, and takes the entry.
  logic        takes  [PORTS];
  /// The entry changes, and its state after that.
  logic        changes[PORTS];
  miss_state_e after  [PORTS];

  logic looks_up;

  always_comb begin : find_look_ups
    looks_up = 1'b0;
    for (int unsigned p = 0; p < PORTS; p++) looks_up |= lookup_i[p] != LookupNone;
  end

  always_comb begin : serve_ports
    mask_t accepting;
    mask_t left;
    port_t p;
    port_t first_refused;
    logic  merges;
    logic  is_any_refused;
    logic  is_first_served;
    accepting = '0;
    left = is_free;
    p = first_q;
    merges = 1'b0;
    is_any_refused = 1'b0;
    first_refused = first_q;
    for (int unsigned i = 0; i < PORTS; i++) begin
      code[i] = lookup_i[i];
      entry[i] = '0;
      primary[i] = '0;
      takes[i] = 1'b0;
      refused_o[i] = 1'b0;
    end
    if (looks_up) begin
      accepting = is_primary & may_fill_q;
      if (commit_i.frees) accepting[commit_entry] = 1'b0;
      for (int unsigned i = 0; i < PORTS; i++) begin
        if (retry_o[p]) begin
          if (lookup_i[p] != LookupNone) entry[p] = retry_entry[p];
        end else if (needs_entry(lookup_i[p])) begin
          merges = 1'b0;
          if (lookup_i[p] == LookupMiss) begin
            for (int unsigned e = ENTRIES; e > 0; e--) begin
              if (accepting[e-1] && va_q[e-1][56:12] == lookup_va_i[p][56:12]) begin
                merges = 1'b1;
                primary[p] = index_t'(e - 1);
              end
            end
            // Or what a port that was served before takes in this cycle.
            for (int unsigned q = 0; q < PORTS; q++) begin
              if (takes[q] && code[q] == LookupMiss &&
                  lookup_va_i[q][56:12] == lookup_va_i[p][56:12] &&
                  (!merges || entry[q] < primary[p])) begin
                merges = 1'b1;
                primary[p] = entry[q];
              end
            end
          end
          if (left == '0) begin
            refused_o[p] = 1'b1;
            code[p] = LookupNone;
            if (!is_any_refused) first_refused = p;
            is_any_refused = 1'b1;
          end else begin
            takes[p] = 1'b1;
            if (merges) code[p] = LookupMerged;
            for (int unsigned e = ENTRIES; e > 0; e--) if (left[e-1]) entry[p] = index_t'(e - 1);
            left[entry[p]] = 1'b0;
          end
        end
        p = 32'(p) == PORTS - 1 ? '0 : p + port_t'(1);
      end
    end
    // A port that was refused keeps its turn until it is served.
    is_first_served = lookup_i[first_q] != LookupNone && !retry_o[first_q] && !refused_o[first_q];
    first_d = first_q;
    owed_d = owed_q;
    if (!owed_q || is_first_served) begin
      owed_d = is_any_refused;
      if (is_any_refused) first_d = first_refused;
    end
  end

  always_comb begin : find_changes
    for (int unsigned p = 0; p < PORTS; p++) begin
      changes[p] = takes[p] || (retry_o[p] && code[p] != LookupNone);
      case (code[p])
        LookupMiss:                     after[p] = MissStlbWait;
        LookupDenied, LookupDirtyClear: after[p] = MissWalkWait;
        LookupMerged:                   after[p] = MissWaiting;
        default:                        after[p] = MissFree;
      endcase
    end
  end

  // ---------------------------------------------------------------------------------------------
  // State
  // ---------------------------------------------------------------------------------------------

  always_ff @(posedge clk_i) begin : states
    if (!rst_ni) begin
      for (int unsigned e = 0; e < ENTRIES; e++) state_q[e] <= MissFree;
      first_q <= '0;
      owed_q <= 1'b0;
    end else begin
      first_q <= first_d;
      owed_q <= owed_d;
      for (int unsigned p = 0; p < PORTS; p++) if (changes[p]) state_q[entry[p]] <= after[p];
      if (stlb_take_i) state_q[index_t'(stlb_entry_i)] <= MissStlbBusy;
      if (walk_take_i) state_q[index_t'(walk_entry_i)] <= MissWalking;
      if (commit_i.to_walk_wait) state_q[commit_entry] <= MissWalkWait;
      if (commit_i.frees) begin
        state_q[commit_entry] <= MissFree;
        for (int unsigned e = 0; e < ENTRIES; e++) begin
          if (state_q[e] == MissWaiting && primary_q[e] == commit_entry) state_q[e] <= MissRetry;
        end
      end
    end
  end

  // A right once lost comes back by a look-up in L1 only. The walker's own entry keeps its right
  // when it drops.
  always_comb begin : next_marks
    may_fill_d = may_fill_q & ~keeps_evicted_i;
    from_cr3_d = from_cr3_q;
    if (revoke_i) begin
      may_fill_d = '0;
    end else if (commit_i.drop) begin
      may_fill_d = '0;
      may_fill_d[commit_entry] = may_fill_q[commit_entry];
    end
    if (commit_i.to_walk_wait) from_cr3_d[commit_entry] = commit_i.from_cr3;
    if (restart_i != '0) begin
      for (int unsigned w = 0; w < WALKERS; w++) begin
        if (restart_i[w]) from_cr3_d[index_t'(owner_i[w])] = 1'b1;
      end
    end
    if (looks_up) begin
      for (int unsigned p = 0; p < PORTS; p++) begin
        if (changes[p]) begin
          may_fill_d[entry[p]] = after[p] == MissStlbWait || after[p] == MissWalkWait;
          from_cr3_d[entry[p]] = code[p] == LookupDenied;
        end
      end
    end
  end

  always_ff @(posedge clk_i) begin : marks
    if (!rst_ni) begin
      may_fill_q <= '0;
      from_cr3_q <= '0;
    end else begin
      may_fill_q <= may_fill_d;
      from_cr3_q <= from_cr3_d;
    end
  end

  // Meaningful in an entry that is not FREE, so it needs no reset.
  always_ff @(posedge clk_i) begin : requests
    for (int unsigned p = 0; p < PORTS; p++) begin
      if (takes[p]) begin
        port_q[entry[p]]    <= port_t'(p);
        va_q[entry[p]]      <= lookup_va_i[p];
        request_q[entry[p]] <= lookup_request_i[p];
        primary_q[entry[p]] <= primary[p];
      end
    end
  end

  // ---------------------------------------------------------------------------------------------
  // Monitor
  // ---------------------------------------------------------------------------------------------

  always_comb begin : monitor
    for (int unsigned p = 0; p < PORTS; p++) begin
      mon_lookup_o[p] = code[p];
      mon_lookup_entry_o[p] = entry_t'(entry[p]);
      mon_lookup_retry_o[p] = code[p] != LookupNone && retry_o[p];
    end
    for (int unsigned e = 0; e < ENTRIES; e++) begin
      mon_miss_o[e] = '0;
      if (state_q[e] != MissFree) begin
        mon_miss_o[e] = {13'd0, state_q[e] == MissWaiting ? entry_t'(primary_q[e]) : 4'd0,
                         from_cr3_q[e], may_fill_q[e], request_q[e].id,
                         port_number_t'(port_q[e]), state_q[e]};
      end
    end
  end

`ifndef SYNTHESIS
  miss_queue_sva #(
      .PORTS  (PORTS),
      .ENTRIES(ENTRIES)
  ) u_miss_queue_sva (
      .clk_i,
      .rst_ni,
      .state_i       (state_q),
      .primary_i     (primary_q),
      .takes_i       (takes),
      .changes_i     (changes),
      .entry_i       (entry),
      .stlb_take_i,
      .stlb_entry_i  (index_t'(stlb_entry_i)),
      .walk_take_i,
      .walk_entry_i  (index_t'(walk_entry_i)),
      .commits_i     (commits),
      .commit_i,
      .commit_entry_i(commit_entry),
      .fills_i       (commits && commit_miss_o.may_fill),
      .revoke_i,
      .keeps_evicted_i
  );
`endif

endmodule
