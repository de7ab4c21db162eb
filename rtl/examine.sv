// EXAMINE of the walker: what one entry of a paging structure means for the walk.
//
// Contract: sections 8.4, 8.6 (prefetch). SDM: 4.5 (formats, reserved bits), 4.6 (rights), 4.7 (error code), 4.8
// (accessed and dirty). Counterpart: in src/model part of walker.rs.
//
// Reserved bits are judged entry by entry; rights at the leaf only, over the whole path, so that a
// not-present entry below outranks a denial above.

module examine
  import mmu_pkg::*;
#(
    /// Physical address bits, 36 to 52.
    parameter int unsigned MAXPHYADDR = 46,
    /// 1 GiB pages are supported.
    parameter int unsigned PAGE_1G    = 1
) (
    // From the walker.
    /// The walker is in EXAMINE.
    input  logic        enable_i,
    /// The kept entry.
    input  logic [63:0] entry_i,
    /// The bus failed.
    input  logic        error_i,
    /// Level of the entry.
    input  logic [2:0]  level_i,
    /// Rights combined over the levels above.
    input  rights_t     rights_i,
    /// Access that is walked for.
    input  access_t     access_i,
    /// Control register bits.
    input  protection_t protection_i,
    /// EFER.NXE, as the mode has it.
    input  logic        nxe_i,
    /// The walk is one of 32-bit paging: the high half of the entry is 0.
    input  logic        two_level_i,
    /// A PDE may map a page.
    input  logic        large_pages_i,
    /// The walk is that of the prefetch, which judges no rights and sets no bit.
    input  logic        prefetch_i,
    /// The prefetch has the right to fill.
    input  logic        prefetch_may_fill_i,
    // To the walker.
    /// Verdict; none unless enabled.
    output verdict_e    verdict_o,
    /// Rights combined with those of the entry.
    output rights_t     rights_o,
    /// Error code of a page fault, else 0.
    output logic [15:0] error_code_o
);

  /// Bits 51:MAXPHYADDR, reserved at every level.
  localparam logic [63:0] ReservedAddress = (64'd1 << 52) - (64'd1 << MAXPHYADDR);

  /// Of 32-bit paging there are physical addresses of at most 40 bits, bits 39:32 in bits 20:13 of
  /// a leaf at level 2. What is not implemented of them, and bit 21, is reserved, and nothing else.
  localparam int unsigned ShortAddress = MAXPHYADDR < 40 ? MAXPHYADDR : 40;
  localparam logic [63:0] ReservedShort = (64'd1 << 22) - (64'd1 << (ShortAddress - 19));

  function automatic logic [63:0] reserved_bits(logic leaf, logic [2:0] level, logic nxe,
                                                logic two_level);
    logic [63:0] mask;
    mask = ReservedAddress;
    mask[BitXd] = !nxe;
    mask[BitLarge] = level >= 3'd4 || (level == 3'd3 && PAGE_1G == 0);
    if (leaf && level == 3'd2) mask[20:13] = '1;
    if (leaf && level == 3'd3) mask[29:13] = '1;
    if (two_level) mask = leaf && level == 3'd2 ? ReservedShort : '0;
    return mask;
  endfunction

  always_comb begin : find_verdict
    logic       leaf;
    judgement_t judgement;
    logic       user_mode;
    logic       present;
    logic       reserved;
    logic       by_key;
    leaf = 1'b0;
    judgement = '0;
    user_mode = 1'b0;
    present = 1'b0;
    reserved = 1'b0;
    by_key = 1'b0;
    verdict_o = VerdictNone;
    rights_o = '0;
    error_code_o = '0;
    if (enable_i) begin
      leaf = is_leaf(entry_i[BitLarge], level_i, large_pages_i);
      present = entry_i[BitPresent];
      reserved = (entry_i & reserved_bits(leaf, level_i, nxe_i, two_level_i)) != '0;
      rights_o.writable = rights_i.writable && entry_i[BitWritable];
      rights_o.user = rights_i.user && entry_i[BitUser];
      rights_o.execute_disable = rights_i.execute_disable || entry_i[BitXd];
      judgement = judge(access_i, protection_i, rights_o, entry_i[62:59]);
      if (error_i) begin
        verdict_o = VerdictBusError;
      end else if (!present) begin
        verdict_o = VerdictPageFault;
        reserved = 1'b0;
      end else if (reserved) begin
        verdict_o = VerdictPageFault;
      end else if (!leaf) begin
        verdict_o = entry_i[BitAccessed] ? VerdictDescend : VerdictSetBits;
      end else if (prefetch_i) begin
        verdict_o = entry_i[BitAccessed] ? VerdictTranslated : VerdictStopped;
      end else if (judgement.denied) begin
        verdict_o = VerdictPageFault;
        by_key = judgement.by_key;
      end else if (!entry_i[BitAccessed] || (access_i.kind == KindWrite && !entry_i[BitDirty]))
      begin
        verdict_o = VerdictSetBits;
      end else begin
        verdict_o = VerdictTranslated;
      end
      // Whatever a prefetch meets that is not plainly a translation stops it.
      if (prefetch_i && (!prefetch_may_fill_i || (verdict_o != VerdictDescend &&
          verdict_o != VerdictTranslated))) begin
        verdict_o = VerdictStopped;
      end
      if (verdict_o == VerdictPageFault) begin
        user_mode = is_user_mode(access_i.cpl, access_i.implicit_supervisor);
        error_code_o = error_code(access_i.kind, user_mode, nxe_i || protection_i.smep, present,
                                  reserved, by_key);
      end
    end
  end

endmodule
